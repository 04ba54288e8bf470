"""What came of executing programs as TT's compiler made them, and whether it is what was recorded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EQUAL, DIFFERS, REFUSED = "equal", "differs", "refused"


@dataclass(frozen=True, slots=True)
class Emulated:
    """One program. rel_l2: the error, if it differs. op, reason: of a refusal by the emulator."""

    outcome: str
    rel_l2: float | None = None
    op: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if self.outcome == REFUSED:
            return f"refused by the emulator: {self.op}{': ' if self.op else ''}{self.reason}"
        return self.outcome if self.rel_l2 is None else f"{self.outcome} (relative L2 {self.rel_l2:.1e})"

    def agrees(self, other: Emulated) -> bool:
        """Whether both say the same; errors within a factor of 2 do."""
        if (self.outcome, self.op, self.reason) != (other.outcome, other.op, other.reason):
            return False
        if self.rel_l2 is None or other.rel_l2 is None:
            return self.rel_l2 == other.rel_l2
        low, high = sorted([self.rel_l2, other.rel_l2])
        return high <= 2 * low

    def plain(self) -> dict[str, Any]:
        """For JSON: without what is empty."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


@dataclass(frozen=True, slots=True)
class Record:
    """A file of what came of programs, and the compiler and jax that it is of."""

    compiler: str
    jax: str
    found: Mapping[str, Emulated]

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file."""
        plain = json.loads(path.read_text(encoding="utf-8"))
        return cls(plain["compiler"], plain["jax"], {name: Emulated(**one) for name, one in plain["found"].items()})

    def write(self, path: Path) -> None:
        """Put it into a file, one program per line."""
        lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(one.plain())}" for n, one in sorted(self.found.items()))
        text = (
            f'{{"compiler": {json.dumps(self.compiler)},\n"jax": {json.dumps(self.jax)},\n"found": {{\n{lines}\n}}}}\n'
        )
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)


def differences(found: Mapping[str, Emulated], recorded: Mapping[str, Emulated]) -> list[str]:
    """A line for each program of which something else came than is recorded, by name."""
    lines = []
    for name, one in found.items():
        before = recorded.get(name)
        if before is None or not one.agrees(before):
            lines.append(f"{name}: {one}; {'not in the record' if before is None else f'recorded: {before}'}")
    return lines
