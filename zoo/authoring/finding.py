"""What a step of ``python -m zoo check`` found."""

from __future__ import annotations

from dataclasses import dataclass

OK, LEFT, NONE = "ok", "left", "-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the way: `state` is `OK`, `LEFT`, or `NONE` where the model has no such thing to check."""

    step: str
    state: str
    what: str
    do: str = ""
    """What to do; empty unless something is left."""

    def lines(self) -> list[str]:
        """For a terminal."""
        first, *more = self.what.splitlines() or [""]
        lines = [f"{self.state:<4}  {self.step}: {first}", *(f"      {line.strip()}" for line in more)]
        return [*lines, f"      do: {self.do}"] if self.do else lines


class Left(Exception):
    """A step that is not done: what is left, and how to do it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.do = do


class NotForThisModel(Exception):
    """A step that the model has nothing for; the text says why."""
