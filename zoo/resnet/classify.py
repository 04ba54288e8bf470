"""Images to labels: a checkpoint's weights, image preparation and labels together, on the chips of a mesh."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from zoo.checkpoints.loading import CheckpointError, load_checkpoint
from zoo.checkpoints.placement import put
from zoo.resnet.model import ResNet
from zoo.resnet.params import key_map, read_config, shapes
from zoo.resnet.sharding import BATCH
from zoo.vision.images import Preparation
from zoo.vision.labels import Guess, read_labels, top

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jax.sharding import Mesh

    from zoo.resnet.model import ResNetConfig


@dataclass(frozen=True, slots=True)
class Classifier:
    """Call it with images, uint8 [height, width, 3] of any size each: the likeliest labels of each, the best first."""

    config: ResNetConfig
    mesh: Mesh
    params: Any
    labels: tuple[str, ...]
    preparation: Preparation
    _forward: Callable[..., jax.Array] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        forward = jax.jit(ResNet(self.config).apply, out_shardings=NamedSharding(self.mesh, BATCH))
        object.__setattr__(self, "_forward", forward)

    @classmethod
    def load(cls, directory: Path, mesh: Mesh) -> Classifier:
        """From a checkpoint in the Hugging Face layout, its weights put on each chip of `mesh`.

        Without preprocessor_config.json images are prepared as for the published ResNets. CheckpointError or ValueError
        if a file is missing, damaged, or of another model.
        """
        path = directory / "config.json"
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; it says what the checkpoint's sizes and labels are")
        content = json.loads(path.read_bytes())
        config = read_config(directory.name, content)
        preparation, path = Preparation(), directory / "preprocessor_config.json"
        if path.is_file():
            preparation = Preparation.from_json(json.loads(path.read_bytes()))
        on_each_chip = NamedSharding(mesh, PartitionSpec())
        params = load_checkpoint(
            directory,
            config,
            key_map(config),
            shapes(config),
            lambda path, values, dtype: put(values, on_each_chip, dtype),
        )
        return cls(config, mesh, params, read_labels(content), preparation)

    def __call__(self, images: Sequence[np.ndarray], count: int = 5) -> list[list[Guess]]:
        """`count` labels of each image."""
        if not images:
            return []
        prepared = [self.preparation(image) for image in images]
        prepared += prepared[-1:] * (-len(prepared) % self.mesh.size)  # each chip has as many as the others
        pixel_values = jax.device_put(np.stack(prepared), NamedSharding(self.mesh, BATCH))
        logits = np.asarray(self._forward(self.params, pixel_values))[: len(images)]
        return top(logits, self.labels, count)
