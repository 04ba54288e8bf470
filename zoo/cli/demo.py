"""``python -m zoo run``: a model's real weights on the chips, something a person can read, and how fast it was.

How a model adds its demo: ``zoo/<model>/demo.py`` holds a `Demo` named ``DEMO``, and ``registration.py`` names it::

    def demo() -> Demo:
        from zoo.<model>.demo import DEMO

        return DEMO

    MODEL = Model(..., demo=demo)

`Demo.arguments` declares what it takes beyond the options of all; `Demo.run` gets those and a `Stage`, which has what
all demos need, each thing made when it is first asked for: ``stage.directory`` is the checkpoint (fetched),
``stage.variant`` what it is of, ``stage.mesh`` opens the chips, ``stage.load()`` puts the weights there. So look at the
arguments first, then at the tokenizer (`zoo.text.tokenizer`), and load last: nobody waits for what is wrong.
What the user gave and cannot be used is a `DemoError`; `refused` makes one of other code's errors. `measured` times a
call, `pytest_tt.text.table` aligns columns. What `run` returns is printed, with what it ran on and how fast that was.
"""

from __future__ import annotations

import argparse
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zoo.checkpoints.config_keys import CONFIG, check_config, contradictions, read_config
from zoo.checkpoints.tensor_files import CheckpointError, TensorFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from jax.sharding import Mesh

    from pytest_tt import Chips
    from pytest_tt.targets.mesh import MeshShape
    from zoo.registry import Model

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
    """Median seconds of one run, until its result is on the host."""
    run_of: str
    """What one run is: ``prompt of 5 tokens``."""
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
    packaged: Callable[[str], Path | None] = lambda variant: None
    """variant -> directory of its published checkpoint on this machine, where a package has brought it."""


class Stage:
    """What a demo runs on. `named` is the variant that the user named; None leaves it to the checkpoint."""

    def __init__(
        self,
        model: Model,
        demo: Demo,
        *,
        named: str | None,
        shape: MeshShape,
        backend: str = "auto",
        checkpoint: Path | None = None,
    ) -> None:
        self.model = model
        self.shape = shape
        self.load_s = 0.0
        self.bytes_per_chip = 0
        self.rounded = ""
        """Dtypes that weights were rounded from and to, where they were."""
        self._demo = demo
        self._named = named
        self._backend = backend
        self._checkpoint = checkpoint

    @property
    def directory(self) -> Path:
        """The checkpoint: the user's, or the variant's published one, fetched where it is not here yet.

        DemoError if there is none, or it is not of the model or the variant that the user named.
        """
        return self._found[0]

    @property
    def variant(self) -> str:
        """The variant that the checkpoint is of."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Path, str]:
        variant = self._named or self._demo.variant
        if self._checkpoint is not None:
            if not self._checkpoint.is_dir():
                raise DemoError(f"--checkpoint {self._checkpoint}: no such directory; expected a checkpoint")
            variant = self._fitting(self._checkpoint / CONFIG)
            check_config(self.model, variant, self._checkpoint)
            return self._checkpoint, variant
        directory = self._demo.packaged(variant)
        if directory is None:
            source = self.model.sources.get(variant)
            if source is None:
                raise DemoError(f"{variant} has no published weights here: name a directory with --checkpoint")
            from zoo.checkpoints.hub import fetch

            directory = fetch(source)
        check_config(self.model, variant, directory)
        return directory, variant

    def _fitting(self, path: Path) -> str:
        """The variant whose config.json is at `path`."""
        if not path.is_file():
            raise DemoError(f"{path}: no such file; it says what the checkpoint is of")
        content = read_config(path)
        told = {name: contradictions(self.model, name, content) for name in self.model.variants}
        fitting = [name for name, wrong in told.items() if not wrong]
        if self._named is not None and self._named not in fitting:
            hint = f"; it is of {' or '.join(fitting)}" if fitting else ""
            raise DemoError(f"{path}: not of {self._named}: {', '.join(told[self._named])}{hint}")
        if not fitting:
            kinds = {wrong[0] for wrong in told.values() if wrong[0].startswith("model_type ")}
            if kinds:
                raise DemoError(f"{path}: not of {self.model.name}: {', '.join(sorted(kinds))}")
            nearest = min(told, key=lambda name: len(told[name]))
            raise DemoError(
                f"{path}: of no variant of {self.model.name} ({', '.join(self.model.variants)}); "
                f"nearest is {nearest}, but {', '.join(told[nearest])}"
            )
        return self._named or (self._demo.variant if self._demo.variant in fitting else fitting[0])

    @property
    def config(self) -> Any:
        """The config of `variant`."""
        return self.model.config(self.variant)

    @cached_property
    def chips(self) -> Chips:
        """The chips, opened at first use."""
        from pytest_tt import ChipsError, open_chips

        with refused(ChipsError, ValueError):
            return open_chips(self.shape, backend=self._backend)

    @property
    def mesh(self) -> Mesh:
        """The mesh of the chips."""
        return self.chips.mesh

    def load(self, config: Any = None) -> dict[str, Any]:
        """Parameters on the chips, prepared for the mesh, as those of `config` (default: that of `variant`)."""
        import jax

        from zoo.checkpoints.loading import load_checkpoint
        from zoo.checkpoints.placement import placer

        config = self.config if config is None else config
        if self.model.keys is None:
            raise DemoError(f"{self.model.name} has no key map: it does not load checkpoints")
        mesh, directory = self.mesh, self.directory
        start = time.perf_counter()
        place = placer(self.model, config, mesh)
        params = load_checkpoint(directory, config, self.model.keys(config), self.model.shapes(config), place)
        self.has_loaded(jax.block_until_ready(params), time.perf_counter() - start)
        self.rounded = _rounded(
            (tensor.dtype.name for tensor in TensorFiles(directory).values()),
            (leaf.dtype.name for leaf in jax.tree.leaves(params)),
        )
        return params

    def has_loaded(self, params: Any, seconds: float) -> None:
        """For a demo that loads by other means than `load`: `params` are on the chips, which took so long."""
        self.load_s = seconds
        self.bytes_per_chip = bytes_on_fullest_chip(params)


_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
"""Of the numbers of a dtype, in binary."""


def _rounded(stored: Iterable[str], kept: Iterable[str]) -> str:
    """Dtypes of more digits in a file than on the chips, in words; empty where there are none."""
    most = max(set(stored) & set(_DIGITS), key=_DIGITS.__getitem__, default="bfloat16")
    least = min(set(kept) & set(_DIGITS), key=_DIGITS.__getitem__, default="float64")
    return f"{most} to {least}" if _DIGITS[most] > _DIGITS[least] else ""


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


def bytes_on_fullest_chip(params: Any) -> int:
    """Bytes of the parameters on the chip that has most of them."""
    import jax

    held: dict[Any, int] = {}
    for leaf in jax.tree.leaves(params):
        for shard in leaf.addressable_shards:
            held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
    return max(held.values(), default=0)


__all__ = [
    "CheckpointError",
    "Demo",
    "DemoError",
    "Measured",
    "Shown",
    "Stage",
    "bytes_on_fullest_chip",
    "measured",
    "refused",
    "whole_number",
]
