"""A progress bar for what takes longer than a second, where somebody looks at it."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

_WIDTH = 30


class Progress:
    """Context manager that shows how many of `total` bytes are done, on stderr if that is a terminal.

    Nothing is shown in the first second; the line is wiped at the end.
    """

    def __init__(
        self, what: str, total: int, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._next = float("inf")
        self._shown = False

    def __enter__(self) -> Progress:
        if self._stream.isatty():
            self._next = self._clock() + 1.0
        return self

    def advance(self, count: int) -> None:
        """`count` more bytes are done."""
        self._done += count
        now = self._clock()
        if now >= self._next:
            self._next = now + 0.1
            self._shown = True
            self._show()

    def _show(self) -> None:
        share = min(self._done / self._total, 1.0) if self._total else 1.0
        full = round(share * _WIDTH)
        amounts = f"{self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB"
        line = f"{self._what} [{'#' * full}{'.' * (_WIDTH - full)}] {share:4.0%} {amounts}"
        self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        self._stream.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
