"""Known mutants of Qwen3, each of which its golden must catch."""

from __future__ import annotations

import numpy as np
from jax.sharding import PartitionSpec as P

from zoo.authoring.decoder_mutants import few_mutants, of_config
from zoo.authoring.mutants import Mutant, Mutants, changed, lying, meaning, registered, swapped
from zoo.layers import grouped_attention
from zoo.qwen3.model import CONFIGS

CASE = "tiny"

CONFIG = CONFIGS[CASE]

BY_NAME: dict[str, Mutant] = {
    "rotation's base 10,000": of_config(rope_theta=1e4),
    **few_mutants(CONFIG),
    "heads not normalised": meaning([grouped_attention], normalised_heads=lambda x, *rest: x),
    "scales of q_norm and k_norm swapped": swapped("q_norm", "k_norm"),
    "no scale of q_norm": changed("q_norm/scale", np.ones_like),
    "scale of k_norm backwards": changed("k_norm/scale", lambda scale: scale[::-1].copy()),
    "norm's epsilon 1e-5": of_config(rms_norm_eps=1e-5),
    "qwen3-0.6b registered with 8 heads": registered("qwen3-0.6b", num_attention_heads=8),
    "qwen3-8b registered with a tied head": registered("qwen3-8b", tie_word_embeddings=True),
    "qwen3-4b registered with heads of 80": registered("qwen3-4b", head_dim=80),
    "scale of q_norm spread": lying("param_specs", "q_norm/scale", P("model")),
}

WITHIN_HW_BOUNDS = {"norm's epsilon 1e-5"}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
