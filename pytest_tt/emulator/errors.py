"""What the emulator does not understand, or finds to be wrong: one line that names program, op and line of source."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tt.tt_compiler.ttnn_module import Op


class EmulationError(RuntimeError):
    """A program that the emulator cannot execute, or whose execution contradicts the program itself.

    `op` is the one it is about, None if it is about the program; `sentence` says what is wrong, `hint` what to do.
    """

    def __init__(self, sentence: str, *, op: Op | None, program: str | None = None, hint: str | None = None) -> None:
        self.sentence, self.op, self.program, self.hint = sentence, op, program, hint
        where = None if op is None else f"{op.name} at {place_of(op) or op.location.name or 'no known line'}"
        text = ": ".join(filter(None, (program, where, sentence)))
        super().__init__(text if hint is None else f"{text}; {hint}")

    def of(self, program: str) -> EmulationError:
        """The same, said of the program called `program`."""
        return EmulationError(self.sentence, op=self.op, program=program, hint=self.hint)


def place_of(op: Op) -> str | None:
    """The op's file and line, from the current directory on if it is below that; None if they are not known."""
    place = op.location.place
    return None if place is None else place.removeprefix(os.getcwd() + os.sep)
