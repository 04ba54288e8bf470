"""A compiled program run once on mocked chips: TT's runtime with real kernels and real allocation, and no numbers.

What it finds are overflows of L1 and DRAM, and what the runtime refuses (TT_FATAL). Kernels are compiled for it but not
executed, and all that is read back is zero, so that programs fail which compute sizes or positions on the chips.
"""

from __future__ import annotations

import fcntl
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.targets import compiler_options
from pytest_tt.targets.systems import get_system
from pytest_tt.tt_compiler import build as builds
from pytest_tt.tt_compiler.cluster import cluster
from pytest_tt.tt_compiler.compile import server_of
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.refusal import Refusal
from pytest_tt.tt_compiler.server import LIMIT_S
from pytest_tt.tt_compiler.store import program_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_tt.tt_compiler.artifact import Artifact
    from pytest_tt.tt_compiler.lowering import Lowered
    from pytest_tt.tt_compiler.store import Store

_KERNELS = "mock-kernels"
# tt-metal tt_stl/assert.hpp: where, the condition, what it says, and the stack.
_FATAL = re.compile(
    r"(?P<kind>TT_FATAL|TT_THROW) @ (?P<file>\S+?):(?P<line>\d+): (?P<condition>.*?)\ninfo:\n(?P<text>.*?)\nbacktrace:",
    re.DOTALL,
)
# The bounds of such a slice are on the chip, whose memory reads as zeros: the slice is empty.
_SLICE = re.compile(r'"ttnn\.slice_dynamic"|"?stablehlo\.dynamic_slice"?')
_EMPTY_SLICE = "new_volume == old_volume"


class MockRunError(TTCompileError):
    """A program compiled, and failed on the mock device."""

    def _text(self) -> str:
        return super()._text().replace("TT's compiler", "mock device (TT's runtime without a chip)", 1)


@dataclass(frozen=True, slots=True)
class MockRun:
    """A program that ran on mocked chips, or failed there for a reason that is not the program's."""

    system: str
    false_alarm: str | None
    """Why it did not run to its end though nothing is known to be wrong with it; None if it did."""


def run(
    lowered: Lowered,
    *,
    system: str,
    options: Mapping[str, object] | None = None,
    limit_s: float = LIMIT_S,
    store: Store | None = None,
    reserve_bytes: int = 0,
) -> MockRun:
    """Compile `lowered` and run it once on the first chips of `system`, mocked, a system of Blackhole chips.

    `reserve_bytes` of DRAM are taken before, for a program of one chip: how large that may be says what it needs.
    The first run on a system of several chips takes minutes: it compiles the kernels of the links, which are kept in
    `store`. Raises MockRunError with the runtime's words, and what `compile_program` raises; ValueError for a system
    of Wormhole chips or with too few, and for memory reserved on several.
    """
    box = get_system(system)
    described = cluster(box).encode()
    if lowered.devices > box.chips:
        what = f"{lowered.name} is for {lowered.devices} chips (mesh {lowered.mesh})"
        raise ValueError(f"{what}, and {box.name} has {box.chips}: name a larger one")
    if reserve_bytes and lowered.devices > 1:
        raise ValueError(f"{lowered.name} is for {lowered.devices} chips: memory can be reserved on one chip only")
    checked = compiler_options.check(options or {})
    compiler_options.check_together(checked)
    build = builds.find_build()
    key = None
    if store is not None and not reserve_bytes:
        key = program_key(lowered.module, build, described, lowered.devices, checked)
        kept = store.get(key)
        if kept is not None:
            return _outcome(kept, lowered, box.name)
    with _kernels(None if store is None else store.directory / _KERNELS) as kernels:
        try:
            result = server_of(build).compile(
                lowered.module, descriptor=described, devices=lowered.devices, options=checked, name=lowered.name,
                limit_s=limit_s, mock={"cache": kernels, "reserve_bytes": reserve_bytes},
            )  # fmt: skip
        except TTCompileError as error:  # a crash, or out of time
            raise _failure(error.log, lowered.name, box.name, error.sentence) from None
    if store is not None and key is not None and not (isinstance(result, Refusal) and not result.lasting):
        store.put(key, result)
    return _outcome(result, lowered, box.name)


def _outcome(result: Artifact | Refusal, lowered: Lowered, system: str) -> MockRun:
    if not isinstance(result, Refusal):
        return MockRun(system, None)
    fatal = _FATAL.search(result.log)
    if fatal is not None and fatal["condition"] == _EMPTY_SLICE and _SLICE.search(lowered.text):
        return MockRun(
            system,
            "a reshape after a dynamic_slice: the slice's bounds are read back from the mock device as zeros, so it is "
            "empty there, and not on a card",
        )
    lines = [line for line in result.log.splitlines() if line.strip()]
    raise _failure(
        result.log, lowered.name, system, lines[-1].removeprefix("error: ") if lines else "it failed without a word"
    )


def _failure(log: str, program: str, system: str, otherwise: str) -> MockRunError:
    """The error of what the runtime said in `log`; `otherwise` where it did not say it in the usual form."""
    fatal = _FATAL.search(log)
    if fatal is None:
        return MockRunError(otherwise, program=program, system=system, hint=_hint(otherwise), log=log)
    place = f"{fatal['kind']} {fatal['file'].rpartition('/')[2]}:{fatal['line']}"
    sentence = f"{' '.join(fatal['text'].split())} ({place}: {' '.join(fatal['condition'].split())})"
    return MockRunError(sentence, program=program, system=system, hint=_hint(sentence), log=log)


def _hint(sentence: str) -> str | None:
    if "did not end within" in sentence:
        return "raise the limit (--tt-timeout): the first run on several chips compiles the kernels of their links"
    if "Out of Memory" not in sentence:
        return None
    where = "L1" if "L1 buffer" in sentence else "DRAM"
    return f"it does not fit into the {where} of a chip: use smaller tensors, or shard them over more chips"


@contextmanager
def _kernels(directory: Path | None) -> Iterator[str | None]:
    """A directory for compiled kernels, for one run at a time: others would disturb it."""
    if directory is None:
        yield None
        return
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield str(directory)
