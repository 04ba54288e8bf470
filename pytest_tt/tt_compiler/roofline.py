"""A lower bound on the time of a compiled program: what its ops must compute and move, at the chip's peaks.

No op of the program can be faster, if it runs as compiled and one op after the other; all are slower. No estimate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from pytest_tt.targets.chips import FIDELITY_PHASES
from pytest_tt.tt_compiler.memory import is_view

if TYPE_CHECKING:
    from pytest_tt.targets.chips import Chip
    from pytest_tt.tt_compiler.ttnn_module import Function, Module, Op, Tensor

# Ops that move nothing: names for what is there, and calls, whose functions count by themselves. What is cached is
# computed by the first call alone.
_FREE = frozenset(
    ["deallocate", "get_device", "load_cached", "call", "while_loop", "case", "loop_bound", "optimization_barrier"]
)
# Ops that need not read the whole of their first operand, or write the whole of their result in place.
_WINDOWS = frozenset(
    [
        "slice_static", "slice_dynamic", "slice", "embedding", "rows_gather", "gather", "gather_dim", "rows_scatter",
        "scatter", "update_cache", "fill_cache", "paged_update_cache", "paged_fill_cache", "mesh_partition",
    ]
)  # fmt: skip
_LOOP = ("initial", "limit", "step")
_CONVOLUTIONS = ("conv2d", "conv3d", "conv1d", "conv_transpose2d")
_ATTENTION = ("scaled_dot_product_attention", "chunked_scaled_dot_product_attention")
_DECODING = ("scaled_dot_product_attention_decode", "paged_scaled_dot_product_attention_decode")


@dataclass(frozen=True, slots=True)
class Bound:
    """What one run of an op costs at least on one chip. `dram_bytes` is None if a format is not known.

    `flops` counts products (matmul, convolution, attention) by their shapes; a multiply and an add are two. Times are
    those of whole tiles. `link_bytes` is what a chip must receive of others.
    """

    op: Op
    times: int
    """How often the op runs in one call: more than once in a loop whose count stands in the program."""
    flops: int
    dram_bytes: int | None
    link_bytes: int
    compute_s: float
    dram_s: float
    link_s: float

    @property
    def seconds(self) -> float:
        """The largest of the three."""
        return max(self.compute_s, self.dram_s, self.link_s)


def bounds(module: Module, chip: Chip) -> tuple[Bound, ...]:
    """The bound of each op of a call of `module`, in the order of the program.

    Of branches, the fastest counts; a loop whose count does not stand in the program counts once.
    """
    return tuple(_of_function(module, module.main, chip, 1))


def _of_function(module: Module, function: Function, chip: Chip, times: int) -> list[Bound]:
    found: list[Bound] = []
    for op in function.ops:
        found.append(_bound(op, chip, module.mesh, times))
        inner = times * (_trips(op) if op.short_name == "while_loop" else 1)
        called = [_of_function(module, callee, chip, inner) for callee in module.called(op)]
        if op.short_name == "case" and called:
            called = [min(called, key=lambda branch: sum(bound.seconds for bound in branch))]
        for bounds_of_callee in called:
            found += bounds_of_callee
    return found


def _trips(loop: Op) -> int:
    """How often the body of a loop runs; 1 if the program does not say."""
    numbers = [re.search(rf"{name} = #ttcore\.loop_bound<(-?\d+)>", loop.attributes) for name in _LOOP]
    if None in numbers:
        return 1
    first, limit, step = (int(number[1]) for number in numbers if number is not None)
    return max(0, -(-(limit - first) // step)) if step else 1


def _bound(op: Op, chip: Chip, mesh: tuple[int, ...], times: int) -> Bound:
    flops, tile_flops = _flops(op)
    moved = _dram_bytes(op)
    received, links = _link_bytes(op, mesh)
    per_s = links * chip.links * chip.link_bytes_per_s
    fidelity = fidelity_of(op)
    return Bound(
        op=op,
        times=times,
        flops=flops,
        dram_bytes=moved,
        link_bytes=received,
        compute_s=tile_flops / chip.matmul_flops_per_s(fidelity),
        dram_s=(moved or 0) / chip.dram_bytes_per_s,
        link_s=received / per_s if per_s else 0.0,
    )


def fidelity_of(op: Op) -> str:
    """The math fidelity that `op` names; ``lofi``, the fastest, if it names none that is known."""
    named = next((word for word in FIDELITY_PHASES if f"math_fidelity = {word}" in op.attributes), None)
    return named or "lofi"


def _dram_bytes(op: Op) -> int | None:
    """Bytes that `op` must read from DRAM and write to it: each operand once, each result once."""
    if op.short_name in _FREE or is_view(op):
        return 0
    distinct = dict(zip(op.operands, op.operand_types, strict=False))
    read = [_stored(kind) for kind in distinct.values()]
    written = [_stored(kind) for kind in op.result_types]
    sizes = [*read, *written]
    if None in sizes:
        return None
    if op.short_name in _WINDOWS:
        return 2 * min((size for size in sizes if size), default=0)
    return sum(size for size in sizes if size)


def _stored(kind: Tensor | None) -> int | None:
    """Bytes in DRAM: 0 for what is elsewhere, None if the format is not known."""
    if kind is None:
        return 0
    if kind.layout is None:
        return None
    return kind.layout.stored_bytes if kind.layout.buffer == "dram" else 0


def _flops(op: Op) -> tuple[int, int]:
    """FLOPs of the products of `op`: by its shapes, and by the whole tiles that the matrix engine computes."""
    kinds, result = op.operand_types, op.result_types[0] if op.result_types else None
    if result is None:
        return 0, 0
    if op.short_name in ("matmul", "linear") and kinds[0] is not None:
        left = kinds[0].shape
        depth = left[-2] if op.attribute("transpose_a") == "true" and len(left) > 1 else left[-1]
        rows, columns = (1, 1, *result.shape)[-2:]
        batch = prod(result.shape[:-2])
        return 2 * batch * rows * columns * depth, 2 * batch * _whole(rows) * _whole(columns) * _whole(depth)
    if op.short_name in _CONVOLUTIONS:
        kernel = prod(op.integers("kernel_size"))
        inside = next(iter(op.integers("in_channels")), 0)
        outside = next(iter(op.integers("out_channels")), 0)
        groups = next(iter(op.integers("groups")), 1) or 1
        if op.short_name == "conv_transpose2d" and kinds[0] is not None:
            flops = 2 * kinds[0].size * kernel * outside // groups
        else:
            flops = 2 * result.size * kernel * inside // groups
        return flops, flops
    if op.short_name in _ATTENTION + _DECODING and len(kinds) >= 3 and kinds[0] is not None and kinds[1] is not None:
        flops = 4 * kinds[0].size * kinds[1].shape[-2]
        # With a causal mask half of it may be left out; a decoding step may look at a part of its cache.
        return flops, 0 if op.short_name in _DECODING else flops // 2
    return 0, 0


def _whole(size: int) -> int:
    return -(-size // 32) * 32


def _link_bytes(op: Op, mesh: tuple[int, ...]) -> tuple[int, int]:
    """Bytes that each chip must receive at least, and from how many neighbours it can: along one axis of the mesh."""
    kind = collective_kind(op)
    if kind is None or not op.operand_types or op.operand_types[0] is None:
        return 0, 0
    axis = next(iter(op.integers("cluster_axis")), None)
    chips = mesh[axis] if axis is not None and axis < len(mesh) else prod(mesh)
    if chips < 2:
        return 0, 0
    held = _plain_bytes(op.operand_types[0])
    result = _plain_bytes(op.result_types[0]) if op.result_types and op.result_types[0] is not None else held
    share = {
        "all-reduce": 2 * held * (chips - 1) // chips,
        "all-gather": result * (chips - 1) // chips,
        "reduce-scatter": held * (chips - 1) // chips,
        "all-to-all": held * (chips - 1) // chips,
        "collective-broadcast": 0,
        "collective-permute": 0,
    }[kind]
    return share, 1 if chips == 2 else 2


def _plain_bytes(kind: Tensor) -> int:
    """Bytes without padding: a collective need not send more."""
    if kind.layout is None or kind.layout.stored_bytes is None or not kind.layout.pages:
        return 0
    pages = kind.layout.stored_bytes / kind.layout.pages
    elements = 1024 if kind.layout.tile is not None else (kind.layout.shape or (1,))[-1]
    return int(kind.size * pages / elements)


_KINDS = {
    "all_reduce": "all-reduce",
    "all_reduce_async": "all-reduce",
    "all_gather": "all-gather",
    "all_gather_async": "all-gather",
    "reduce_scatter": "reduce-scatter",
    "reduce_scatter_async": "reduce-scatter",
    "all_to_all": "all-to-all",
    "all_to_all_dispatch": "all-to-all",
    "all_to_all_combine": "all-to-all",
    "collective_permute": "collective-permute",
    "point_to_point": "collective-permute",
    "collective_broadcast": "collective-broadcast",
    "broadcast": "collective-broadcast",
}


def collective_kind(op: Op) -> str | None:
    """``all-reduce`` …, as XLA's HLO names the collective that `op` is; None if it is not one."""
    return _KINDS.get(op.short_name) if op.name.startswith("ttnn.") else None


def is_send(op: Op) -> bool:
    """Whether `op` sends from one chip to one other: a part of a collective."""
    return op.name == "ttnn.point_to_point"
