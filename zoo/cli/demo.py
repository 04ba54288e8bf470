"""What a demo of a model is: ``python -m zoo run`` shows real weights on the chips, something a person can read, and
how fast it was.

How a model adds its demo: a module of its folder holds a `Demo`, and ``registration.py`` names it::

    def demo() -> Demo:
        from zoo.<model>.demo import DEMO

        return DEMO

    MODEL = Model(..., demo=demo)

`Demo.arguments` declares what it takes beyond the options of all; `Demo.run` gets those and a `Stage`, which has what
all demos need, each thing made when it is first asked for: ``stage.directory`` is the checkpoint (fetched),
``stage.variant`` what it is of, ``stage.mesh`` opens the chips, ``stage.load()`` puts the weights there. So look at the
arguments first, then at the tokenizer (`zoo.text.tokenizer`), and load last: an error comes before the wait.
What the user gave and cannot be used is a `DemoError`; `refused` makes one of other code's errors. `measured` times a
call, `zoo.cli.table` aligns columns. What `run` returns is printed, with the chips and how fast they were.
"""

from __future__ import annotations

import argparse
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from jax.sharding import Mesh

    from zoo.parts.architecture import Architecture
    from zoo.parts.sharding import Sharding

T = TypeVar("T")


class DemoError(Exception):
    """What the user gave cannot be used; the text is one line that says what was expected."""


@contextmanager
def refused(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of `kinds` are about what the user gave."""
    try:
        yield
    except kinds as error:
        raise DemoError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a demo gives: `text` for a person, and how long it took."""

    text: str
    compile_s: float
    """Seconds of tracing and compiling, of all programs together."""
    run_s: float
    """Median seconds of one execution, until its result is on the host."""
    run_of: str
    """What is executed: ``prompt of 5 tokens``."""
    rate: float
    """How many `unit` a second."""
    unit: str
    """``tokens``, ``sentences``, ``images``."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """More rows for the table of how fast it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What ``python -m zoo run`` shows of a model."""

    summary: str
    """For the help: what it shows, one sentence."""
    variant: str
    """Which variant the model's own name stands for."""
    arguments: Callable[[argparse.ArgumentParser], None]
    """Declares what it takes beside the options of all: ``--mesh``, ``--backend``, ``--checkpoint``."""
    run: Callable[[Stage, argparse.Namespace], Shown]
    """Does it. DemoError or CheckpointError for what cannot be used."""
    older_tokenizers: Mapping[tuple[str, ...], Callable[..., Any]] = field(default_factory=dict)
    """How the tokenizer is made of older files where a checkpoint has no tokenizer.json: see
    `zoo.text.tokenizer.read_tokenizer`."""
    packaged: Callable[[str], Path | None] = lambda variant: None
    """variant -> directory of its published checkpoint on this machine, where a package has brought it."""


class Stage(Protocol):
    """What a demo gets to work with; `zoo.cli.stage.ModelStage` makes each thing when it is first asked for."""

    @property
    def architecture(self) -> Architecture:
        """What the model computes."""

    @property
    def sharding(self) -> Sharding:
        """Where its arrays lie."""

    @property
    def directory(self) -> Path:
        """The checkpoint: the user's, or the variant's published one, fetched where it is not here yet.

        DemoError if there is none, or it is not of the model or the variant that the user named.
        """

    @property
    def variant(self) -> str:
        """The variant that the checkpoint is of."""

    @property
    def config(self) -> Any:
        """The config of `variant`."""

    @property
    def mesh(self) -> Mesh:
        """The mesh that the user asked for. DemoError where its chips cannot be had."""

    def load(self, config: Any = None) -> dict[str, Any]:
        """Parameters on the chips, prepared for the mesh, as those of `config` (default: that of `variant`)."""

    def has_loaded(self, params: Any, seconds: float) -> None:
        """For a demo that loads by other means than `load`: `params` are on the chips, which took so long."""


def whole_number(least: int) -> Callable[[str], int]:
    """The `type` of an argument that is a whole number, `least` or more."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return parse


@dataclass(frozen=True, slots=True)
class Measured(Generic[T]):
    """What a call gave, and how long it took."""

    result: T
    first_s: float
    """Seconds of the first call, which compiles."""
    run_s: float
    """Median seconds of the later calls."""

    @property
    def compile_s(self) -> float:
        """Seconds that the first call took longer."""
        return max(0.0, self.first_s - self.run_s)


def measured(call: Callable[[], T], *, rounds: int = 5, longest_s: float = 5.0) -> Measured[T]:
    """Call once, then up to `rounds` times more within `longest_s` seconds (once at least).

    `call` must wait for its result, e.g. by making NumPy arrays of it.
    """
    start = time.perf_counter()
    result = call()
    first = time.perf_counter() - start
    times: list[float] = []
    while len(times) < rounds and (not times or sum(times) < longest_s):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return Measured(result, first, median(times))
