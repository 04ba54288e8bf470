"""Known mutants of Gemma 3, each of which its golden must catch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax
import numpy as np

from zoo.authoring.decoder_mutants import few_mutants, intercepted, of_config
from zoo.authoring.mutants import Mutant, Mutants, changed, meaning, registered, swapped
from zoo.gemma3 import model as gemma3
from zoo.gemma3.model import CONFIGS, Gemma3Config
from zoo.layers import grouped_attention
from zoo.layers.rms_norm import RMSNorm
from zoo.layers.rotary import LinearScaling

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

CASE = "tiny"

CONFIG = CONFIGS[CASE]


def _without(ending: str) -> Mutant:
    """A norm that does nothing."""

    def change(norm: Any, call: Any, x: jax.Array) -> Any:
        return x if str(norm.name).endswith(ending) else call(x)

    return intercepted(RMSNorm, change)


def _unscaled() -> AbstractContextManager[Any]:
    return mock.patch.object(Gemma3Config, "embedding_scale", 1.0)


BY_NAME: dict[str, Mutant] = {
    "bases of the two kinds of layers swapped": of_config(rope_theta=30.0, rope_local_base_freq=500.0),
    "angles not scaled": of_config(rope_scaling=None),
    "angles scaled by 8": of_config(rope_scaling=LinearScaling(8.0)),
    "all layers attend to everything": of_config(sliding_window=64),
    "window one longer": of_config(sliding_window=6),
    "the second layer attends to everything": of_config(sliding_window_pattern=2),
    "window one longer in a step": of_config("text", sliding_window=6),
    "scores scaled by head_dim": of_config(query_pre_attn_scalar=16),
    "embeddings not scaled": Mutant(patch=_unscaled),
    "no norm behind attention": _without("post_attention_norm"),
    "no norm behind the MLP": _without("post_feedforward_norm"),
    "norms behind attention and MLP swapped": swapped("post_attention_norm", "post_feedforward_norm"),
    "norms' scales as stored, less one": changed("input_norm/scale", lambda scale: scale - 1),
    "heads not normalised": meaning([grouped_attention], normalised_heads=lambda x, *rest: x),
    "no scale of q_norm": changed("q_norm/scale", np.ones_like),
    "GELU by erf": meaning([gemma3], gelu_tanh=partial(jax.nn.gelu, approximate=False)),
    "norm's epsilon 1e-5": of_config(rms_norm_eps=1e-5),
    **few_mutants(CONFIG),
    "gemma-3-1b-pt registered with a window of 1,024": registered("gemma-3-1b-pt", sliding_window=1024),
    "gemma-3-1b-it registered with one base": registered("gemma-3-1b-it", rope_local_base_freq=1e6),
}

WITHIN_HW_BOUNDS = {"norm's epsilon 1e-5", "GELU by erf", "angles scaled by 8", "scores scaled by head_dim"}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
