"""Peak DRAM of a compiled program on one chip: added up from the layouts of its tensors and where it frees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tt.targets.chips import Chip
    from pytest_tt.tt_compiler.ttnn_module import Function, Layout, Module, Op, Tensor


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of DRAM on one chip. `unknown` says what could not be counted; then `peak_bytes` is None."""

    peak_bytes: int | None
    argument_bytes: int
    """Arguments alone: weights, inputs, a cache."""
    cached_bytes: int
    """Results of const-eval functions, which stay in memory from the first call on."""
    unknown: tuple[str, ...]


def allocated_bytes(layout: Layout, chip: Chip) -> int | None:
    """DRAM that a tensor of `layout` takes on `chip`; 0 outside of DRAM, None if the format is not known.

    Pages go round the banks, and each bank reserves as much as the fullest one (tt-metal's allocator). A page begins
    at a multiple of the alignment.
    """
    if layout.buffer != "dram":
        return 0
    page = layout.page_bytes
    if page is None:
        return None
    aligned = -(-page // chip.dram_alignment) * chip.dram_alignment
    return -(-layout.pages // chip.dram_banks) * chip.dram_banks * aligned


def is_view(op: Op) -> bool:
    """Whether the result of `op` is its operand's buffer under another shape or the same tensor: nothing is moved.

    For reshape: the condition in ttnn's reshape.cpp.
    """
    if not (len(op.operands) >= 1 and len(op.results) == 1) or op.operand_types[0] is None:
        return False
    before, after = op.operand_types[0], op.result_types[0]
    if after is None or before.layout is None or after.layout is None:
        return False
    same_store = (before.layout.buffer, before.layout.element, before.layout.tile) == (
        after.layout.buffer,
        after.layout.element,
        after.layout.tile,
    )
    if op.short_name in ("to_layout", "to_memory_config", "typecast", "to_dtype"):
        return before.layout == after.layout
    if op.short_name != "reshape" or not same_store or before.layout.grid != after.layout.grid:
        return False
    rows, columns = _last_two(before)
    new_rows, new_columns = _last_two(after)
    if columns != new_columns:
        return False
    return before.layout.tile is None or rows == new_rows or (rows % 32 == 0 and new_rows % 32 == 0)


def peak_memory(module: Module, chip: Chip) -> Memory:
    """Peak DRAM of one call of `module` on one chip, arguments and results included.

    Arguments stay allocated: they are the caller's. Results of const-eval functions are there from the start, as from
    the second call on; their functions count where the first call runs them. Not counted: kernels, command queues,
    and what a single op allocates while it runs.
    """
    return _Sum(module, chip).memory()


@dataclass(slots=True)
class _Buffer:
    size: int
    names: set[str] = field(default_factory=set)


class _Sum:
    def __init__(self, module: Module, chip: Chip) -> None:
        self.module, self.chip = module, chip
        self.unknown: dict[str, None] = dict.fromkeys(module.unread)

    def memory(self) -> Memory:
        main = self.module.main
        arguments = sum(self._size(argument.type, f"argument {argument.name}") for argument in main.arguments)
        loads = [op for op in self.module.walk(main) if op.short_name == "load_cached"]
        cached = sum(self._size(kind, op.name) for op in loads for kind in op.result_types)
        peak = arguments + cached + self._peak(main, {})
        first_call = arguments
        for op in loads:
            peak = max(peak, first_call + self._called(op))
            first_call += sum(self._size(kind, op.name) for kind in op.result_types)
        unknown = tuple(self.unknown)
        return Memory(None if unknown else peak, arguments, cached, unknown)

    def _peak(self, function: Function, seen: dict[str, int]) -> int:
        """Peak of what `function` itself allocates, beyond its arguments and cached results."""
        buffers: dict[str, _Buffer] = {}
        now = peak = 0
        for op in function.ops:
            if op.short_name == "deallocate":
                now -= _freed(op, buffers)
                continue
            if op.short_name == "load_cached":
                continue
            if is_view(op):
                buffer = buffers.get(op.operands[0])
                if buffer is not None:  # else it is a view of an argument or of a cached result
                    buffer.names.add(op.results[0])
                    buffers[op.results[0]] = buffer
                continue
            inner = self._called(op, seen)
            for name, kind in zip(op.results, op.result_types, strict=True):
                size = self._size(kind, f"{op.name} at {op.location.place or op.location.name}")
                buffers[name] = _Buffer(size, {name})
                now += size
            peak = max(peak, now, now + inner)
        return peak

    def _called(self, op: Op, seen: dict[str, int] | None = None) -> int:
        """The largest peak of the functions that `op` calls."""
        known = {} if seen is None else seen
        for name in op.calls:
            function = self.module.functions.get(name)
            if function is not None and name not in known:
                known[name] = 0
                known[name] = self._peak(function, known) if function.kind != "cpu" else 0
        return max((known.get(name, 0) for name in op.calls), default=0)

    def _size(self, kind: Tensor | None, what: str) -> int:
        if kind is None:
            return 0  # a device, not a tensor
        if kind.layout is None:
            self.unknown[f"a layout that is not known: {what}"] = None
            return 0
        size = allocated_bytes(kind.layout, self.chip)
        if size is None:
            self.unknown[f"a format that is not known: {kind.layout}, {what}"] = None
            return 0
        return size


def _freed(op: Op, buffers: dict[str, _Buffer]) -> int:
    """What a deallocation gives back: nothing while another name still holds the buffer, unless it is forced."""
    buffer = buffers.pop(op.operands[0], None)
    if buffer is None:
        return 0
    buffer.names.discard(op.operands[0])
    if buffer.names and op.attribute("force") != "true":
        return 0
    size, buffer.size = buffer.size, 0
    return size


def _last_two(tensor: Tensor) -> tuple[int, int]:
    shape = (1, 1, *tensor.shape)
    return shape[-2], shape[-1]
