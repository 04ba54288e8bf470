"""Parameters of an MLP: made up for goldens, recorded from training, and saved to and loaded from msgpack."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flax import serialization

from pytest_tt.compare import flatten
from pytest_tt.files import write_atomically
from zoo.checkpoints.synthetic import uniform
from zoo.checkpoints.weights import nested, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from zoo.mlp.model import MLPConfig

RECORDED = Path(__file__).parent / "weights" / "sum.safetensors"
"""What ``python -m zoo.mlp.train`` gave; variant ``sum``."""

RECORDED_SHA256 = "25828ff049308d5e830f94f91ed8b8467e8274235fa8bb4961772d443907ef06"


class ParamsError(ValueError):
    """A file of parameters that cannot be used; the text says why and what to do."""


def shapes(config: MLPConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter by its path, e.g. ``params/Dense_0/kernel``."""
    found: dict[str, tuple[int, ...]] = {}
    for index, (inputs, outputs) in enumerate(zip(config.widths, config.widths[1:], strict=False)):
        if config.bias:
            found[f"params/Dense_{index}/bias"] = (outputs,)
        found[f"params/Dense_{index}/kernel"] = (inputs, outputs)
    return found


def synthetic_params(config: MLPConfig, seed: int = 0) -> dict[str, Any]:
    """Made-up float32 parameters.

    Activations are near 0.7, where ReLU and its smooth relatives differ most, and biases as large as the products,
    so that even the loose bounds of real chips catch what is left out.
    """
    return nested(
        {
            name: uniform(f"mlp/{config.name}/{name}", shape, low=-bound, high=bound, seed=seed)
            for name, shape in shapes(config).items()
            for bound in [0.5 if len(shape) == 1 else math.sqrt(1.5 / shape[0])]
        }
    )


def recorded() -> dict[str, Any]:
    """The trained parameters of variant ``sum``; WeightsError if the file is not the pinned one."""
    return read_weights(RECORDED, RECORDED_SHA256)


def golden_params(config: MLPConfig) -> dict[str, Any]:
    """The parameters that the golden of `config` was made with: of the trained variant those, else made-up ones."""
    return recorded() if config.name == "sum" else synthetic_params(config)


def _facts(config: MLPConfig) -> dict[str, Any]:
    return {**asdict(config), "widths": list(config.widths)}


def save_params(path: Path, params: Mapping[str, Any], config: MLPConfig) -> None:
    """Write `params` of ``MLP(config)`` to `path`: flax's msgpack with the config and a SHA-256 around it."""
    content = serialization.to_bytes(nested(flatten(params)))
    envelope = {"config": _facts(config), "sha256": hashlib.sha256(content).hexdigest(), "params": content}
    write_atomically(path, serialization.msgpack_serialize(envelope))


def load_params(path: Path, config: MLPConfig) -> dict[str, Any]:
    """The parameters in `path`, as NumPy arrays on the host.

    ParamsError if the file is truncated, altered, of another model, or does not hold what ``MLP(config)`` needs:
    ``flax.serialization.from_bytes`` alone takes arrays of any shape.
    """
    content = path.read_bytes()
    try:
        envelope = serialization.msgpack_restore(content)
    except ValueError as error:  # msgpack's own errors are ValueErrors
        raise ParamsError(
            f"{path}: {len(content)} bytes that are not a whole msgpack file ({error}); it was cut short or is "
            "something else: save it again"
        ) from None
    if not isinstance(envelope, dict) or set(envelope) != {"config", "sha256", "params"}:
        raise ParamsError(f"{path}: not written by save_params: expected config, sha256 and params")
    if envelope["config"] != _facts(config):
        raise ParamsError(
            f"{path}: holds parameters of {envelope['config']}, expected {_facts(config)}: load it with the config "
            "it was saved with"
        )
    if hashlib.sha256(envelope["params"]).hexdigest() != envelope["sha256"]:
        raise ParamsError(f"{path}: its parameters are not those that were saved (SHA-256 differs): save it again")
    params: dict[str, Any] = serialization.msgpack_restore(envelope["params"])
    leaves: dict[str, np.ndarray] = flatten(params)
    expected = shapes(config)
    wrong = sorted(
        f"{name} (expected {expected.get(name, 'none')}, found {leaves[name].shape if name in leaves else 'none'})"
        for name in {*leaves, *expected}
        if name not in leaves or leaves[name].shape != expected.get(name)
    )
    if wrong:
        raise ParamsError(f"{path}: does not fit {config.name}: {', '.join(wrong)}")
    return params
