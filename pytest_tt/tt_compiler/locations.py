"""Where an op comes from: MLIR's locations, down to the file and line of the user's code."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

# Installed packages, the standard library and code without a file are not the user's.
_NOT_THE_USERS = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3\.\d+[/\\]|^<|^$")

# Nor is this package, which need not be installed.
_OURS = str(Path(__file__).parents[1]) + os.sep


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of Python code, and the function it is in where that is known."""

    file: str
    line: int
    function: str | None = None

    @property
    def is_users(self) -> bool:
        """Whether it is in code of the user: not in an installed package, nor in the standard library."""
        return _NOT_THE_USERS.search(self.file) is None and not self.file.startswith(_OURS)


@dataclass(frozen=True, slots=True)
class Location:
    """What jax calls an op (``jit(f)/Dense_0/dot_general``), and the lines that led to it, the innermost first."""

    name: str
    frames: tuple[Frame, ...]

    @property
    def frame(self) -> Frame | None:
        """The innermost line of the user's code; the innermost of any if none is the user's; None without lines."""
        return next((frame for frame in self.frames if frame.is_users), self.frames[0] if self.frames else None)

    @property
    def place(self) -> str | None:
        """``model.py:12`` with the whole path; None if it is not known."""
        frame = self.frame
        return None if frame is None else f"{frame.file}:{frame.line}"


_TOKEN = re.compile(
    r'"(?P<file>(?:[^"\\]|\\.)*)":(?P<line>\d+)(?::\d+)?(?: to (?:\d+)?:\d+)?'
    r'|"(?P<name>(?:[^"\\]|\\.)*)"|(?P<alias>#[\w$.]+)'
)


class Locations:
    """Resolves the text in ``loc(…)`` by the aliases of a module."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self._aliases = {
            name: text[4:-1] if text.startswith("loc(") else text
            for name, text in aliases.items()
            if name.startswith("#loc")
        }
        self._known: dict[str, Location] = {}

    @classmethod
    def of(cls, lines: Iterable[str]) -> Locations:
        """Those whose aliases stand in the lines of a module's text."""
        pairs = (line.partition(" = ") for line in lines if line.startswith("#loc"))
        return cls({name: text for name, _, text in pairs})

    def __bool__(self) -> bool:
        """Whether the module was printed with locations."""
        return bool(self._aliases)

    def resolve(self, text: str) -> Location:
        """The location that `text`, what stands in the brackets of ``loc``, describes."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._read(text, frozenset())
        return found

    @staticmethod
    def from_traceback(traceback: TracebackType | None) -> Location:
        """The lines of a traceback."""
        frames = []
        while traceback is not None:
            code = traceback.tb_frame.f_code
            frames.append(Frame(code.co_filename, traceback.tb_lineno, code.co_name))
            traceback = traceback.tb_next
        return Location("", tuple(reversed(frames)))

    def _read(self, text: str, seen: frozenset[str]) -> Location:
        """Its name is that of the outermost that has one. Frames come as they stand: a callee, then where it is
        called; the name of a Python function stands before its line."""
        name = ""
        function: str | None = None
        frames: list[Frame] = []
        for found in _TOKEN.finditer(text):
            if found["file"] is not None:
                frames.append(Frame(_unescape(found["file"]), int(found["line"]), function))
                function = None
            elif found["name"] is not None:
                last = _unescape(found["name"])
                name = _joined(name, last)
                function = None if _is_path(last) else last
            elif found["alias"] not in seen:
                alias = found["alias"]
                if alias not in self._known:
                    self._known[alias] = self._read(self._aliases.get(alias, ""), seen | {alias})
                inner = self._known[alias]
                name = _joined(name, inner.name)
                first, *others = inner.frames or (None,)
                if first is not None:
                    unnamed = function is not None and first.function is None
                    frames += [replace(first, function=function) if unnamed else first, *others]
                function = None
        return Location(name, tuple(frames))


def _is_path(name: str) -> bool:
    """Whether it is a name of jax's for an op, ``jit(f)/add``, not that of a Python function."""
    return "/" in name or "(" in name


def _joined(name: str, inner: str) -> str:
    """The name of an op of which `inner` is a part: ``max`` in a function called as ``jit(f)/jit(relu)``."""
    if name and not _is_path(name) and _is_path(inner):
        return f"{inner}/{name}"
    return name or inner


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-9A-Fa-f]{2}|.)", lambda m: chr(int(m[1], 16)) if len(m[1]) == 2 else m[1], text)
