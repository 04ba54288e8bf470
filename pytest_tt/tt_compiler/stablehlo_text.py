"""Reads the text of a program before it is compiled, StableHLO as jax prints it: which op comes from which line."""

from __future__ import annotations

import re

from pytest_tt.tt_compiler.locations import Location, Locations

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_FUNCTION = re.compile(r"func\.func (?:public |private )?@([\w$.\-]+)")
_CALL = re.compile(r"(?:\bcall @|called_computations = \[@|to_apply = @)([\w$.\-]+)")


class StableHLOText:
    """The module text that ``lowered.as_text(debug_info=True)`` gives; without locations it has none to give."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self._locations = Locations.of(self.lines)
        self._calls: dict[str, int] = {}
        self._function_of: list[str] = []
        current = ""
        for number, line in enumerate(self.lines):
            found = _FUNCTION.search(line)
            current = found[1] if found else current
            self._function_of.append(current)
            if not line.startswith("#"):
                for name in _CALL.findall(line):
                    self._calls.setdefault(name, number)

    def location(self, number: int) -> Location:
        """Where the op that begins at line `number` (from 0) comes from.

        jax gives ops of a function that it jits itself (``jnp.fft.fft``) no line of the user's: then it is the line
        that calls this function.
        """
        own = found = self._own(number)
        seen = {number}
        while found.frame is None or not found.frame.is_users:
            caller = self._calls.get(self._function_of[number])
            if caller is None or caller in seen:
                return own
            seen.add(caller)
            number, found = caller, self._own(caller)
        return Location(own.name, found.frames)

    def first(self, op: str) -> Location | None:
        """Where the first `op` (``stablehlo.fft``) comes from; None if there is none."""
        pattern = re.compile(rf'"?\b{re.escape(op)}\b"?[ (<]')
        numbers = (at for at, line in enumerate(self.lines) if not line.startswith("#") and pattern.search(line))
        number = next(numbers, None)
        return None if number is None else self.location(number)

    def _own(self, number: int) -> Location:
        """What is printed at the end of the op, after its regions."""
        depth = 0
        for line in self.lines[number:] if self._locations else ():
            plain = _STRING.sub("", line)
            depth += plain.count("{") - plain.count("}")
            at = line.rfind(" loc(")
            if depth <= 0 and at >= 0 and line.endswith(")"):
                return self._locations.resolve(line[at + 5 : -1])
        return Location("", ())
