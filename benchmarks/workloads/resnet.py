"""ResNet-50: logits of images of 224x224."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from forward import compiled_forward

from workloads.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jax.sharding import Mesh

VARIANT = "resnet-50"


def images(count: int) -> np.ndarray:
    """Float32 [count, 224, 224, 3]."""
    from zoo.resnet.reference import made_up_images

    return made_up_images("benchmarks/resnet", count, 224, 224)


@lru_cache(maxsize=1)
def load_pytorch(checkpoint: Path) -> Any:
    """transformers' model."""
    from transformers import ResNetForImageClassification

    return ResNetForImageClassification.from_pretrained(checkpoint, dtype="float32").eval()


@lru_cache(maxsize=1)
def load_zoo(checkpoint: Path, mesh: Mesh) -> Any:
    """Parameters of ours on `mesh`."""
    from zoo.checkpoints.placement import load_params
    from zoo.resnet.registration import MODEL

    return load_params(MODEL, VARIANT, mesh, checkpoint)


def pytorch_forward(checkpoint: Path, *, rows: int) -> Callable[[], np.ndarray]:
    """Logits [rows, 1000]."""
    import torch

    model, pixels = load_pytorch(checkpoint), torch.from_numpy(images(rows)).permute(0, 3, 1, 2).contiguous()

    def run() -> np.ndarray:
        with torch.no_grad():
            return np.asarray(model(pixels).logits.numpy())

    return run


def zoo_forward(checkpoint: Path, mesh: Mesh, *, rows: int) -> Callable[[], np.ndarray]:
    """As `pytorch_forward`."""
    from zoo.resnet.registration import MODEL

    inputs = {"pixel_values": images(rows)}
    forward = compiled_forward(MODEL, MODEL.config(VARIANT), mesh, load_zoo(checkpoint, mesh), inputs)

    def run() -> np.ndarray:
        return np.asarray(forward()["logits"])

    return run


WORKLOADS = tuple(
    Workload(
        title=f"ResNet-50 forward, batch {rows}, 224x224",
        model="resnet",
        variant=VARIANT,
        aim=1.1,
        load_pytorch=load_pytorch,
        load_zoo=load_zoo,
        pytorch=partial(pytorch_forward, rows=rows),
        zoo=partial(zoo_forward, rows=rows),
        rows=rows,
        over_all_chips=True,
    )
    for rows in (1, 8)
)
