"""The part of a model's description that says what its published weights look like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np

    from zoo.checkpoints.config_keys import ConfigKeys
    from zoo.checkpoints.hub import Source
    from zoo.checkpoints.key_map import KeyMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The checkpoints of a model in the Hugging Face layout: tensors in safetensors files, and a config.json.

    `config` is a value of the model's `variants`.
    """

    key_map: Callable[[Any], KeyMap]
    """config -> which tensor becomes which parameter."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Variant -> its published checkpoint, for the variants that have one."""
    synthetic: Callable[[Any, int], Iterable[tuple[str, np.ndarray]]] | None = None
    """config, seed -> names and made-up tensors of a whole checkpoint; see `zoo.model.Model.synthetic_checkpoint`."""
    hub_config: Callable[[Any], Mapping[str, Any]] | None = None
    """config -> content of config.json. transformers loads what is made up by it, as the class that it names under
    ``architectures``; a checkpoint whose config.json says something else is refused."""
    config_keys: ConfigKeys | None = None
    """What each key of a config.json means. None: what `hub_config` says must hold, and other keys are refused unless
    every class of transformers has them. ``python -m zoo configs`` prints it."""
    blocks: Callable[[Any], Mapping[str, str]] | None = None
    """config -> path of a module of ours to the module of the reference that gives the same, ``{"layer_0":
    "bert.encoder.layer.0"}``; ``python -m zoo check`` compares them one by one. The reference is the class that
    `hub_config` names."""
