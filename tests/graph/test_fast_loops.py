"""The parts of the fast path that need neither Keras nor TensorFlow."""

import gc
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.layers.fast import compiling
from pipelines.layers.fast.cells import tanh
from pipelines.layers.fast.compiling import compiled, entry
from pipelines.layers.fast.lanes import _multiply, _multiply_transposed, _to_panels
from pipelines.layers.fast.memory import ALIGNMENT, LARGE, Pool
from pipelines.layers.fast.packing import columns_of, panels_of, transposed_panels_of
from pipelines.layers.fast.products import _make_tile

RNG = np.random.default_rng(1)


def drawn(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@entry
def both_products(left, panels, result, across):
    _multiply(left, panels, result, left.shape[0], (1, 16))
    packed = np.empty((result.shape[1] // 16, left.shape[0], 16), np.float32)
    _to_panels(result, packed)
    _multiply_transposed(left, packed, across, (0, 16))


@entry
def bent(row):
    for j in range(row.size):
        row[j] = tanh(row[j])


@settings(max_examples=25, deadline=None)
@given(
    rows=st.sampled_from([8, 24, 40]),
    depth=st.integers(1, 40),
    panels=st.integers(1, 5),
)
def test_products_are_those_of_numpy_and_touch_nothing_else(rows, depth, panels):
    left, matrix = drawn(rows, depth + 3), drawn(depth, 16 * panels)
    packed = np.ascontiguousarray(matrix.reshape(depth, panels, 16).transpose(1, 0, 2))
    result = drawn(rows, 16 * (panels + 2))
    expected = result.copy()
    expected[:, 16 : 16 * (panels + 1)] += left[:, 1 : depth + 1] @ matrix
    height = (depth + 3) // 8 * 8
    across = np.zeros((height, 16 * panels), np.float32)
    if height:
        both_products(left, packed, result, across)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
        other = left[:, :height].T @ expected[:, 16 : 16 * (panels + 1)]
        np.testing.assert_allclose(across, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("tall", "broad"), [(4, 1), (8, 2), (3, 3)])
def test_tiles_of_any_size_are_right_whatever_vectors_the_processor_has(tall, broad):
    tile = _make_tile(tall, broad)

    @compiled
    def add(left, right, result):
        depth, panel = left.shape[1], right.shape[1] * 16
        tile(
            (left.ctypes.data, depth, 1), (right.ctypes.data, 16, panel),
            (result.ctypes.data, result.shape[1]), depth,
        )  # fmt: skip

    left, matrix, result = drawn(tall, 13), drawn(13, 16 * broad), drawn(tall, 16 * broad)
    expected = result + left @ matrix
    panels = np.ascontiguousarray(matrix.reshape(13, broad, 16).transpose(1, 0, 2))
    add(left, panels, result)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_tanh_is_right_to_the_last_digits_small_and_large():
    values = np.concatenate([np.linspace(-20, 20, 40_001), np.logspace(-30, 0, 999)])
    values = values.astype(np.float32)
    exact = np.tanh(values.astype(np.float64))
    found = values.copy()
    bent(found)
    np.testing.assert_allclose(found, exact, rtol=2e-7)
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    bent(odd)
    np.testing.assert_array_equal(odd, [np.nan, 1.0, -1.0])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_panels_hold_every_weight_once(cell):
    units, rows = 5, 19
    for columns in columns_of(cell, units):
        gates = len(columns.gates)
        matrix, bias = drawn(rows, gates * units), drawn(gates * units)
        panels = panels_of(matrix, bias, columns)
        wide = panels.transpose(1, 0, 2).reshape(rows + 1, gates, 16)
        back = transposed_panels_of(matrix, columns).transpose(1, 0, 2).reshape(gates, 16, -1)
        for part, (gate, scale) in enumerate(zip(columns.gates, columns.scales, strict=True)):
            own = slice(gate * units, (gate + 1) * units)
            np.testing.assert_allclose(wide[:-1, part, :units], scale * matrix[:, own])
            np.testing.assert_allclose(wide[-1, part, :units], scale * bias[own])
            np.testing.assert_allclose(back[part, :units, :rows], matrix[:, own].T)
        assert not wide[:, :, units:].any()
        assert not back[:, units:].any()


def test_loops_compile_where_nothing_can_be_kept(monkeypatch):
    real = compiling.njit

    def refusing(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(compiling, "njit", refusing)
    assert entry(lambda number: number + 1)(2) == 3


def test_memory_comes_back_and_is_used_again():
    pool = Pool()
    first = pool.empty(200, LARGE // 400)
    address, part = first.ctypes.data, first[3:9]
    assert address % ALIGNMENT == 0
    del first
    gc.collect()
    other = pool.empty(200, LARGE // 400)
    assert other.ctypes.data != address  # a view is left
    del part
    gc.collect()
    assert pool.empty(200, LARGE // 400).ctypes.data == address


def test_no_more_memory_is_kept_than_was_in_use_at_once():
    pool = Pool()
    for size in range(1, 20):
        pool.empty(size * LARGE)
    assert 0 < pool.kept <= 20 * 4 * LARGE


def test_memory_is_lent_to_many_threads():
    pool, wrong = Pool(), []

    def work(number):
        for size in range(1, 200):
            array = pool.empty(LARGE // 4 + size % 7)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
