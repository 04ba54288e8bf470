"""What a demo gets to work with: a model's checkpoint, and its weights on the chips."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_check import check_config, contradictions
from zoo.checkpoints.config_keys import CONFIG, read_config
from zoo.checkpoints.tensor_files import TensorFiles
from zoo.cli.demo import DemoError, refused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jax.sharding import Mesh

    from pytest_tt import Chips
    from pytest_tt.targets.mesh import MeshShape
    from zoo.cli.demo import Demo
    from zoo.parts.architecture import Architecture
    from zoo.parts.sharding import Sharding
    from zoo.registry import Model


class ModelStage:
    """The `zoo.cli.demo.Stage` of a model.

    named: the variant that the user named; None leaves it to the checkpoint.
    """

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
    def architecture(self) -> Architecture:
        """What the model computes."""
        return self.model.architecture

    @property
    def sharding(self) -> Sharding:
        """Where its arrays lie."""
        return self.model.sharding

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
        checkpoint, shapes = self.model.checkpoint, self.model.architecture.shapes
        if checkpoint is None:
            raise DemoError(f"{self.model.name} has no key map: it does not load checkpoints")
        mesh, directory = self.mesh, self.directory
        start = time.perf_counter()
        place = placer(self.model, config, mesh)
        params = load_checkpoint(directory, config, checkpoint.key_map(config), shapes(config), place)
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


def bytes_on_fullest_chip(params: Any) -> int:
    """Bytes of the parameters on the chip that has most of them."""
    import jax

    held: dict[Any, int] = {}
    for leaf in jax.tree.leaves(params):
        for shard in leaf.addressable_shards:
            held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
    return max(held.values(), default=0)
