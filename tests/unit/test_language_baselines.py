import bz2
import lzma
import math
from types import SimpleNamespace

import numpy as np
import pyppmd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import EvaluationError
from pipelines.evaluation import language_baselines as baselines
from pipelines.evaluation.language_baselines import (
    BZIP2,
    LZMA,
    PPMD,
    character_counts,
    drawn_text,
    language_baselines,
    ppmd,
    primed_bzip2,
    primed_lzma,
    tuned_order,
    uniform,
    unigram,
)
from pipelines.evaluation.language_compressors import (
    by_piece,
    bzip2_growth,
    lzma_growth,
    ppmd_growth,
    ppmd_memory,
)

BYTES = st.binary(max_size=300)


def documents(*texts):
    return [SimpleNamespace(text=text) for text in texts]


def prose(words, seed=0):
    """Text with habits that can be learned: each word is likely to be followed by the next."""
    random = np.random.default_rng(seed)
    known = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "again"]
    place, found = 0, []
    for _ in range(words):
        place = (place + 1 if random.random() < 0.8 else int(random.integers(10))) % 10
        found.append(known[place])
    return " ".join(found)


def ppmd_length(data, order):
    encoder = pyppmd.Ppmd8Encoder(order, ppmd_memory(len(data)), 1)
    return len(encoder.encode(data)) + len(encoder.flush(False))


@settings(max_examples=30, deadline=None)
@given(BYTES, st.lists(BYTES, max_size=3), st.integers(2, 12))
def test_ppmd_grows_by_the_difference_of_whole_streams(before, pieces, order):
    growth = ppmd_growth(before, pieces, order=order)
    assert len(growth) == sum(map(len, pieces))
    whole = ppmd_length(before + b"".join(pieces), order)
    assert growth.sum() == whole - ppmd_length(before, order)


@settings(max_examples=30, deadline=None)
@given(BYTES, st.lists(BYTES, max_size=3))
def test_lzma_grows_by_about_the_difference_of_whole_streams(before, pieces):
    growth = lzma_growth(before, pieces)
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 16}]

    def length(data):
        return len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))

    assert len(growth) == len(pieces)
    assert np.all(growth >= 0)
    # An empty text's stream has its own ten bytes or so.
    start = length(before) if before else 0
    assert abs(growth.sum() - (length(before + b"".join(pieces)) - start)) <= 12


def test_lzma_charges_the_passage_that_is_new():
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, 1000, dtype=np.uint8).tobytes() for _ in range(3)]
    growth = lzma_growth(noise[0], [noise[1], noise[0], noise[2], noise[2]])
    assert np.all(np.abs(growth - [1000, 10, 1000, 10]) < 25)


def test_ppmd_by_kind_of_place_is_right_on_average():
    random = np.random.default_rng(0)
    text = np.empty(40_000, np.uint8)
    text[::2] = 65 + random.integers(0, 16, 20_000)
    text[1::2] = 97 + random.integers(0, 2, 20_000)
    growth = 8 * ppmd_growth(text[:20_000].tobytes(), [text[20_000:].tobytes()], order=2)
    assert growth[::2].mean() == pytest.approx(4, abs=0.12)
    assert growth[1::2].mean() == pytest.approx(1, abs=0.12)


def test_bzip2_grows_by_the_difference_of_whole_streams():
    before, text = prose(500).encode(), prose(100, seed=1).encode()
    difference = len(bz2.compress(before + text)) - len(bz2.compress(before))
    assert bzip2_growth(before, [text, b""]).tolist() == [difference, 0]


def test_growth_is_cut_by_piece():
    cut = by_piece(np.arange(5), [b"ab", b"", b"cde"])
    assert [part.tolist() for part in cut] == [[0, 1], [], [2, 3, 4]]


@pytest.mark.parametrize(
    ("read", "megabytes"), [(0, 16), (5_000_000, 160_000_000 / 2**20), (10**9, 1024)]
)
def test_memory_of_ppmd_grows_with_the_text_between_limits(read, megabytes):
    assert ppmd_memory(read) == megabytes * 2**20


def test_uniform_and_unigram_by_hand():
    known = character_counts(documents("aab", ""))
    even = uniform(known, ["ab", "ax"])
    assert even["bits"].tolist() == pytest.approx([2 * math.log2(3), 2 * math.log2(3) + 20])
    counted = unigram(known, ["ab", "x"])  # a 3, b 2, all others 1
    assert counted["bits"].tolist() == pytest.approx([1 + math.log2(3), math.log2(6) + 20])
    assert counted["characters"].tolist() == [2, 1]
    assert counted["character_bits"][0].tolist() == pytest.approx([1, math.log2(3)])


def test_every_baseline_states_bits_of_every_passage():
    train, valid = documents(prose(4000), prose(2000, 1)), documents(prose(500, 2))
    tests = documents(prose(600, 3), "", "é" * 10)
    found = language_baselines(train, valid, tests)
    assert list(found.outputs) == ["PPMd", "lzma", "bzip2", "unigram", "uniform"]
    for outputs in found.outputs.values():
        assert outputs["characters"].tolist() == [len(row.text) for row in tests]
        assert outputs["bits"].tolist() == pytest.approx(outputs["passage_bits"].sum(1), rel=1e-5)
        assert outputs["passage_bits"].shape[1] == -(-len(tests[0].text) // 1000)
        assert outputs["bits"][1] == 0
        assert np.all(outputs["passage_bits"][0] > 0)
    first = {name: outputs["bits"][0] for name, outputs in found.outputs.items()}
    assert first["PPMd"] < first["lzma"] < first["unigram"] < first["uniform"]
    for name in ("PPMd", "unigram", "uniform"):
        bits = found.outputs[name]["character_bits"]
        assert [len(row) for row in bits] == [len(row.text) for row in tests]
    assert any(f"order {found.order}" in note for note in found.notes)


@pytest.mark.parametrize("measure", [lambda p, t: ppmd(p, t, order=6), primed_lzma, primed_bzip2])
def test_training_text_helps(measure):
    text = [prose(1000, 5)]
    primer, _ = drawn_text(documents(prose(20_000)), 10**9)
    assert measure(primer, text)[0]["bits"][0] < 0.8 * measure(b"x", text)[0]["bits"][0]


@pytest.mark.parametrize(
    ("name", "measure"), [(PPMD, lambda p, t: ppmd(p, t, order=6)), (LZMA, primed_lzma)]
)
def test_many_documents_are_read_in_a_row(name, measure, monkeypatch):
    primer, texts = prose(2000).encode(), ["new words", "new words", "", "é"]
    alone, notes = measure(primer, texts)
    assert notes == []
    assert alone["bits"][0] == alone["bits"][1]
    monkeypatch.setitem(baselines._REPEATED, name, 4 * len(primer) - 1)
    row, notes = measure(primer, texts)
    assert row["characters"].tolist() == alone["characters"].tolist()
    assert row["bits"][1] < alone["bits"][1]  # it has been seen a document ago
    assert notes[0].startswith(f"{name} read the 4 documents one after another")


def test_bzip2_primes_with_what_shares_its_block(monkeypatch):
    primer = prose(10_000).encode()
    _, notes = primed_bzip2(primer, ["a"])
    assert f"only {len(primer) / 1e3:,.0f} kB" in notes[0]
    _, notes = primed_bzip2(primer, ["a" * 890_000])
    assert "only 0 kB" in notes[0]
    monkeypatch.setitem(baselines._REPEATED, BZIP2, 8000)
    assert "only 4 kB" in primed_bzip2(primer, ["a", "b"])[1][0]


def test_bits_of_bzip2_are_shared_by_length():
    found, _ = primed_bzip2(b"", ["a b" * 500])
    bits = found["passage_bits"][0]
    assert bits[0] == pytest.approx(2 * bits[1])


def test_halves_of_surrogate_pairs_can_be_compressed():
    assert ppmd(b"abc", ["\ud83d"], order=4)[0]["characters"].tolist() == [1]


def test_documents_are_drawn_evenly_beyond_the_limit():
    rows = documents("aaaa", "bbbb", "cccc", "dddd")
    assert drawn_text(rows, 16) == (b"aaaa\0bbbb\0cccc\0dddd\0", [])
    drawn, notes = drawn_text(rows, 10)
    assert drawn == b"aaaa\0cccc\0"
    assert notes == ["The compressors read 0.0 of 0.0 MB of training text, drawn evenly."]


def test_one_long_document_leaves_its_end():
    assert drawn_text(documents("abcdefgh"), 4)[0] == b"fgh\0"


def test_order_is_the_best_on_valid_text(monkeypatch):
    cost = {4: 5, 5: 4, 6: 6, 7: 7, 8: 1}
    monkeypatch.setattr(
        baselines, "ppmd_growth", lambda before, pieces, order: np.array([cost[order]])
    )
    assert tuned_order(documents("a"), documents("b")) == 5
    cost.update({7: 3, 8: 2, 9: 1, 10: 9})
    assert tuned_order(documents("a"), documents("b")) == 9
    cost.update({order: 20 - order for order in range(4, 13)})
    assert tuned_order(documents("a"), documents("b")) == 12


def test_order_without_valid_text_is_six():
    assert tuned_order(documents("abc"), []) == 6


def test_compressors_need_training_text():
    with pytest.raises(EvaluationError, match="1 training documents without.*training split"):
        language_baselines(documents(""), [], documents("a"))
