"""Products of small float32 matrices at the speed of the processor, for loops compiled by Numba.

A step of a recurrent layer multiplies few rows by the same matrix as the step before. Libraries of
linear algebra pack that matrix anew at every call; here it is packed once for all steps, and the
product runs on one thread without entering a library, so that a loop over steps stays compiled.

The innermost loop keeps a tile of the result in vector registers while it walks along the inner
dimension (Goto & van de Geijn, 2008, "Anatomy of high-performance matrix multiplication", sec. 4).
Vectors are LLVM's, of 16 floats, which it splits where the processor's are shorter; nothing here is
bound to one make of processor.

Addresses are of floats in arrays that the caller keeps alive; strides are in floats.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pipelines.layers.fast.compiling import compiled

LANES = 16  # floats in a vector: a panel's width, and what widths are rounded up to
ROWS = 8  # what numbers of rows are rounded up to
_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
# 32 registers of 16 floats hold a tile of 8 × 2 vectors; 16 of 8 floats one of 4 × 1.
_WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
_TALL, _BROAD = (8, 2) if _WIDE else (4, 1)

Triple = tuple[int, int, int]


def round_up(number: int, multiple: int) -> int:
    """Return the least multiple that is not below a number."""
    return -(-number // multiple) * multiple


def _make_tile(rows: int, panels: int) -> Any:
    """Return a function that adds a product to a tile of `rows` × `panels` vectors.

    Its arguments are those of `add_product`, the inner dimension in the place of the shape.
    """

    @intrinsic
    def tile(_: Any, left: Any, right: Any, result: Any, depth: Any) -> Any:
        return types.void(left, right, result, depth), generate

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        *matrices, depth = arguments
        parts = [
            cgutils.unpack_tuple(builder, matrix, size)
            for matrix, size in zip(matrices, (3, 3, 2), strict=True)
        ]
        _Tile(builder, *parts).write(rows, panels, depth)
        return context.get_dummy_value()

    return tile


class _Tile:
    """Writes the loop over the inner dimension of a tile's product.

    Args:
        builder: of LLVM's instructions.
        left, right, result: as for `add_product`.
    """

    def __init__(self, builder: Any, left: Any, right: Any, result: Any) -> None:
        self.builder, self.left, self.right, self.result = builder, left, right, result

    def write(self, rows: int, panels: int, depth: Any) -> None:
        builder = self.builder
        tile = [(row, panel) for row in range(rows) for panel in range(panels)]
        before, loop = builder.block, builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        start = [builder.load(self._of_result(*place), align=4) for place in tile]
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(_INT)
        sums = [builder.phi(_VECTOR) for _ in tile]
        new = self._add_outer(step, sums, rows, panels)
        following = builder.add(step, _INT(1))
        changes = [(step, _INT(0), following), *zip(sums, start, new, strict=True)]
        for phi, first, value in changes:
            phi.add_incoming(first, before)
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        for place, value in zip(tile, new, strict=True):
            builder.store(value, self._of_result(*place), align=4)

    def _add_outer(self, step: Any, sums: list[Any], rows: int, panels: int) -> list[Any]:
        """Add a column of the left matrix times a row of the right one."""
        builder = self.builder
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        address, row_stride, column_stride = self.left
        right, right_stride, panel_stride = self.right
        columns = []
        for panel in range(panels):
            place = self._at(right, _VECTOR, (step, right_stride), (panel, panel_stride))
            columns.append(builder.load(place, align=4))
        new: list[Any] = []
        for row in range(rows):
            place = self._at(address, _FLOAT, (row, row_stride), (step, column_stride))
            number = self._repeated(builder.load(place))
            new += [builder.call(fma, [number, column, sums[len(new) + n]])
                    for n, column in enumerate(columns)]  # fmt: skip
        return new

    def _of_result(self, row: int, panel: int) -> Any:
        address, stride = self.result
        return self._at(address, _VECTOR, (row, stride), (panel, LANES))

    def _at(self, address: Any, kind: ir.Type, *steps: tuple[Any, Any]) -> Any:
        """Return a pointer so many strides further on."""
        builder = self.builder
        for number, stride in steps:
            pair = [_INT(one) if isinstance(one, int) else one for one in (number, stride)]
            address = builder.add(address, builder.mul(builder.mul(*pair), _INT(4)))
        return builder.inttoptr(address, kind.as_pointer())

    def _repeated(self, number: Any) -> Any:
        """Return a vector of one number."""
        empty = ir.Constant(_VECTOR, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        first = self.builder.insert_element(empty, number, ir.IntType(32)(0))
        return self.builder.shuffle_vector(first, empty, zeros)


_broad_tile, _narrow_tile = _make_tile(_TALL, _BROAD), _make_tile(_TALL, 1)


@compiled
def add_product(left: Triple, right: Triple, result: tuple[int, int], shape: Triple) -> None:
    """Add left @ right to result.

    Args:
        left: address of a matrix [rows, depth], strides of its rows and of its columns.
        right: address of a matrix [depth, panels × 16], strides of its rows and of its panels.
        result: address of a matrix [rows, panels × 16], stride of its rows.
        shape: (rows, depth, panels); rows a multiple of `ROWS`, depth at least 1.
    """
    rows, depth, panels = shape
    panel = 0
    while panel < panels:
        broad = panel + _BROAD <= panels
        columns = (right[0] + 4 * panel * right[2], right[1], right[2])
        for row in range(0, rows, _TALL):
            part = (left[0] + 4 * row * left[1], left[1], left[2])
            place = (result[0] + 4 * (row * result[1] + panel * LANES), result[1])
            if broad:
                _broad_tile(part, columns, place, depth)
            else:
                _narrow_tile(part, columns, place, depth)
        panel += _BROAD if broad else 1
