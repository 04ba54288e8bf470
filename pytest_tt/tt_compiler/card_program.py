"""A program as TT's compiler made it for the chips of a system: what a card would run, without one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from pytest_tt.targets.chips import CHIPS
from pytest_tt.tt_compiler import upstream
from pytest_tt.tt_compiler.memory import Memory, allocated_bytes, peak_memory
from pytest_tt.tt_compiler.roofline import Bound, bounds, collective_kind, is_send
from pytest_tt.tt_compiler.ttnn_text import read as read_ttnn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tt.targets.chips import Chip
    from pytest_tt.tt_compiler.artifact import Artifact, Split
    from pytest_tt.tt_compiler.build import Build
    from pytest_tt.tt_compiler.ttnn_module import Module, Op, Tensor

# Names for what is there, not work.
_NOT_COUNTED = frozenset(["deallocate", "get_device", "load_cached", "call"])
# Moves between the host and the chips: they end in, or start from, the host's memory, but compute nothing there.
_TRANSFERS = frozenset(["from_device", "to_device", "deallocate", "get_device", "load_cached", "call"])


class Compiler(NamedTuple):
    """The compiler: the package that it comes with, its version, and the commit of tt-mlir if that is known."""

    package: str
    version: str
    tt_mlir: str | None

    def __str__(self) -> str:
        return f"{self.package} {self.version}" + ("" if self.tt_mlir is None else f" (tt-mlir {self.tt_mlir[:8]})")


# What the compiler may take apart into sends, as its first stage names it.
_SENT = {
    "all_to_all": "all-to-all",
    "collective_permute": "collective-permute",
    "collective_broadcast": "collective-broadcast",
}
_FIRST_STAGE = re.compile(rf'"ttir\.({"|".join(_SENT)})"\(')


# They change how a tensor is stored, not what it holds.
_MOVES = frozenset(["to_layout", "to_memory_config", "typecast", "to_dtype", "reshape"])


@dataclass(frozen=True)
class CardProgram:
    """One program, compiled for the chips of a system by TT's compiler. All chips run the same one.

    That it compiles says that this compiler takes it, not that it runs or that its numbers are right.
    """

    name: str
    system: str
    mesh: str
    """ROWSxCOLS of chips, ``1x2``."""
    compiler: Compiler
    ttir: str = field(repr=False)
    """The text of the compiler's first stage."""
    ttnn: str = field(repr=False)
    """The text of its last stage: the program."""
    upstream: tuple[upstream.Finding, ...] = ()
    """What Tenstorrent's own tt-mlir does not lower, or runs on the host, though this build takes it."""
    outputs: tuple[Split, ...] | None = field(default=None, repr=False)
    """How each result is split among the chips; None if that is not known."""

    @cached_property
    def module(self) -> Module:
        """The program, read."""
        return read_ttnn(self.ttnn)

    def on(self, system: str) -> CardProgram:
        """The same program on the chips of another system: what depends on their memory and speed is of those.

        The compiler makes the same program for all systems, but for how products are divided among a chip's cores
        (zoo/test_contract.py sees to it). Raises ValueError for a system that is not known.
        """
        _check(system)
        other = replace(self, system=system)
        other.__dict__["module"] = self.module  # read once
        return other

    @cached_property
    def ops(self) -> dict[str, int]:
        """TTNN ops of one call by name (``matmul``), without deallocations and what is computed once and cached.

        The body of a loop counts once.
        """
        return _counted(op.short_name for op in self.device_ops)

    @cached_property
    def device_ops(self) -> tuple[Op, ...]:
        """The ops that `ops` counts, in the order of the program."""
        return tuple(op for op in self._walk if op.short_name not in _NOT_COUNTED)

    @cached_property
    def collectives(self) -> dict[str, int]:
        """Collectives of one call by kind, as in `Program.collectives`: ``all-reduce``, ``all-gather`` …

        The compiler makes single sends of some (collective-permute, all-to-all): these are counted in its first stage.
        """
        kinds = [kind for op in self._walk if (kind := collective_kind(op)) is not None and not is_send(op)]
        sends = [op for op in self._walk if is_send(op)]
        if sends:
            before = [_SENT[name] for name in _FIRST_STAGE.findall(self.ttir)]
            kinds += [kind for kind in before if kind not in kinds] or ["collective-permute"]
        return _counted(kinds)

    @cached_property
    def host_ops(self) -> dict[str, int]:
        """Ops that run on the host's CPU in each call: those of functions that the compiler left to it, and ops whose
        result is in the host's memory; transfers apart."""
        return _counted(self._host_ops())

    @cached_property
    def memory(self) -> Memory:
        """DRAM of one chip."""
        return peak_memory(self.module, CHIPS[self.system])

    @property
    def dram_peak_bytes(self) -> int | None:
        """Peak DRAM of one chip; None if the program holds something whose size is not known (`unknown` says what)."""
        return self.memory.peak_bytes

    @property
    def argument_bytes(self) -> int | None:
        """Bytes of one chip's share of the arguments as they are given, without padding: weights, cache, inputs.

        None if the type of one is not known.
        """
        sizes = [argument.type.plain_bytes for argument in self.module.main.arguments if argument.type is not None]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    @property
    def dram_bytes(self) -> int:
        """DRAM that programs can use on one chip of the system."""
        return CHIPS[self.system].dram_bytes

    @property
    def fits(self) -> bool | None:
        """Whether the peak fits into the DRAM of a chip; None if the peak is not known."""
        return None if self.dram_peak_bytes is None else self.dram_peak_bytes <= self.dram_bytes

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """For each op of a call, in order: the least that it computes, moves and receives."""
        return bounds(self.module, CHIPS[self.system])

    @property
    def flops(self) -> int:
        """FLOPs of one call on one chip in matrix products and convolutions; a multiply and an add are two."""
        return sum(bound.times * bound.flops for bound in self.bounds)

    @property
    def moved_bytes(self) -> int | None:
        """Bytes that the ops of one call must read from the DRAM of one chip and write to it; None if not known."""
        sizes = [None if bound.dram_bytes is None else bound.times * bound.dram_bytes for bound in self.bounds]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    @property
    def link_bytes(self) -> int:
        """Bytes that one chip must receive of others in one call."""
        return sum(bound.times * bound.link_bytes for bound in self.bounds)

    @property
    def roofline_s(self) -> float | None:
        """Seconds that one call takes at least, its ops one after the other at the chip's peaks: a bound, not an
        estimate. None if the program holds something whose size is not known."""
        if self.unknown:
            return None
        return sum(bound.times * bound.seconds for bound in self.bounds)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """What of the program was not understood: lines, layouts, formats. Empty as a rule."""
        unsized = [
            f"bytes that {bound.op.name} moves at {bound.op.location.place}"
            for bound in self.bounds
            if bound.dram_bytes is None
        ]
        return (*self.memory.unknown, *unsized)

    @cached_property
    def largest(self) -> tuple[Op, int] | None:
        """An op of the user's that takes or makes the largest tensor in DRAM, and that tensor's bytes on one chip."""
        chip = CHIPS[self.system]
        sizes = [
            (op, max((_dram_bytes(kind, chip) for kind in (*op.operand_types, *op.result_types)), default=0))
            for op in self._walk
            if op.short_name not in _NOT_COUNTED
        ]
        most = max((size for _, size in sizes), default=0)
        # A weight is often converted first, at no line of its own: the op that uses what comes of it says more.
        near = [(op, size) for op, size in sizes if size and size >= 0.9 * most]
        return max(
            near, key=lambda pair: (pair[0].location.frame is not None, pair[0].short_name not in _MOVES), default=None
        )

    def ops_at(self, place: str | int) -> tuple[Op, ...]:
        """Ops of one call that come from a line of source: ``"model.py:12"``, or ``12`` in any file.

        A line that calls a function has the ops of that function.
        """
        file, _, number = str(place).rpartition(":")
        if not number.isdigit():
            raise ValueError(f"{place!r} is not a line of source: expected FILE:LINE, e.g. model.py:12, or LINE")
        wanted = PurePath(file).parts
        return tuple(
            op
            for op in self._walk
            if any(
                frame.line == int(number) and (not wanted or PurePath(frame.file).parts[-len(wanted) :] == wanted)
                for frame in op.location.frames
            )
        )

    @cached_property
    def _walk(self) -> tuple[Op, ...]:
        return tuple(self.module.walk(self.module.main))

    def _host_ops(self) -> Iterable[str]:
        for op in self._walk:
            for name in op.calls:
                function = self.module.functions.get(f"cpu:{name}") or self.module.functions.get(name)
                if function is not None and function.kind == "cpu":
                    yield from (inner.short_name for inner in function.ops) if function.ops else (name,)
            if op.short_name not in _TRANSFERS and any(
                kind is not None and kind.layout is not None and kind.layout.buffer == "system_memory"
                for kind in op.result_types
            ):
                yield op.short_name


def read(
    artifact: Artifact, system: str, mesh: str, build: Build | Compiler, stablehlo: str, *, name: str = "program"
) -> CardProgram:
    """What the compiler made of a program for `mesh` (``1x2``) of the chips of `system` (a name of SYSTEMS).

    `stablehlo` is the text of the program with locations, which the second verdict reads. Raises TTNNTextError if the
    artifact holds no TTNN module, ValueError for a system that is not known.
    """
    _check(system)
    program = CardProgram(
        name=name,
        system=system,
        mesh=mesh,
        compiler=Compiler(build.package, build.version, build.tt_mlir),
        ttir=artifact.ttir,
        ttnn=artifact.ttnn,
        upstream=upstream.verdict(stablehlo),
        outputs=artifact.outputs,
    )
    _ = program.module.main  # raises now, not at the first question
    return program


def _check(system: str) -> None:
    if system not in CHIPS:
        raise ValueError(f"{system!r} is not a system: expected one of {', '.join(CHIPS)}")


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _dram_bytes(kind: Tensor | None, chip: Chip) -> int:
    """Bytes of a tensor in DRAM on one chip; 0 for what is elsewhere or not known."""
    return 0 if kind is None or kind.layout is None else allocated_bytes(kind.layout, chip) or 0
