"""Known mutants of Qwen2.5, each of which its golden must catch."""

from __future__ import annotations

import numpy as np
from jax.sharding import PartitionSpec as P

from zoo.authoring.decoder_mutants import decoder_mutants, epsilon_mutants, of_config, pre_norm_mutants, untied
from zoo.authoring.mutants import Mutant, Mutants, changed, lying, registered
from zoo.qwen2_5.model import CONFIGS

CASE = "tiny-28-4"
TIED = "tiny-14-2"

CONFIG = CONFIGS[CASE]

BY_NAME: dict[str, Mutant] = {
    "rotation's base 10,000": of_config(rope_theta=1e4),
    "rotation's base 500,000": of_config(rope_theta=5e5),
    **decoder_mutants(CONFIG),
    **pre_norm_mutants(),
    "no bias of q": changed("attention/q/bias", np.zeros_like),
    "no bias of k": changed("attention/k/bias", np.zeros_like),
    "no bias of v": changed("attention/v/bias", np.zeros_like),
    "weight of o transposed": changed("attention/o/weight", lambda weight: np.ascontiguousarray(weight.T)),
    "norm's epsilon 1e-5": of_config(rms_norm_eps=1e-5),
    "norm's epsilon 1e-12": of_config(rms_norm_eps=1e-12),
    "head not tied to the embedding": untied(CONFIGS[TIED], TIED),
    **epsilon_mutants(CONFIG, (1e-5, 1e-12)),
    "28 heads of 32 in 0.5B": of_config("0.5b-1-layer", num_attention_heads=28, num_key_value_heads=4, head_dim=32),
    "rotation's base 10,000 in 0.5B": of_config("0.5b-1-layer", rope_theta=1e4),
    "norm's epsilon 1e-5 in 1.5B": of_config("1.5b-1-layer", rms_norm_eps=1e-5),
    "rotation's base 10,000 in 3B": of_config("3b-1-layer", rope_theta=1e4),
    "qwen2.5-0.5b registered with rotation's base 10,000": registered("qwen2.5-0.5b", rope_theta=1e4),
    "qwen2.5-1.5b-instruct registered with long positions": registered(
        "qwen2.5-1.5b-instruct", max_position_embeddings=131072
    ),
    "qwen2.5-3b registered with 8 heads of 256": registered("qwen2.5-3b", num_attention_heads=8, head_dim=256),
    "qwen2.5-7b registered with epsilon 1e-5": registered("qwen2.5-7b", rms_norm_eps=1e-5),
    "qwen2.5-7b registered with a tied head": registered("qwen2.5-7b", tie_word_embeddings=True),
    "bias of q on every chip": lying("param_specs", "attention/q/bias", P()),
}

WITHIN_HW_BOUNDS = {
    "rotation's base 500,000",
    "a step sees one slot more",
    *(name for name in BY_NAME if "epsilon" in name and "registered" not in name),
}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
