"""The program that a card's plugin compiled, read from the executable that it serializes.

On several chips the plugin's HLO text is a stub, and it says nothing of memory: its compiler's own text has both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tt.tt_compiler.artifact import serialized, split_serialized
from pytest_tt.tt_compiler.card_program import Compiler, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tt.tt_compiler.card_program import CardProgram


class UnreadableError(Exception):
    """What the plugin compiled cannot be read; the text says why, the same for all programs of a run."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program was compiled: by which plugin (name -> version), for which chips."""

    packages: Mapping[str, str | None]
    system: str | None
    mesh: str


def read_executable(compiled: Any, stablehlo: str, name: str, place: Place) -> CardProgram:
    """The program in `compiled` (a jax.stages.Compiled) called `name`; `stablehlo` is what its compiler got.

    Raises UnreadableError.
    """
    package, version = next(iter(place.packages.items()), ("the plugin", None))
    if place.system is None:
        raise UnreadableError("the chips are not those of a system in `pytest-tt systems`, whose facts it takes")
    try:
        artifact = split_serialized(serialized(compiled.runtime_executable()))
        return read(artifact, place.system, place.mesh, Compiler(package, version or "", None), stablehlo, name=name)
    # Another plugin may serialize something else, nothing, or a text of another version: the test goes on without.
    except Exception as error:
        raise UnreadableError(f"{package} {version or ''}".rstrip() + f": {type(error).__name__}: {error}") from None
