"""Known mutants of Llama, each of which its golden must catch."""

from __future__ import annotations

from zoo.authoring.decoder_mutants import few_mutants, of_config
from zoo.authoring.mutants import Mutant, Mutants, registered
from zoo.layers.rotary import LinearScaling, Llama3Scaling
from zoo.llama.model import CONFIGS

CASE, WINDOW = "tiny", "tiny-window"

CONFIG = CONFIGS[CASE]

BY_NAME: dict[str, Mutant] = {
    "rotation's base 10,000": of_config(rope_theta=1e4),
    "angles not scaled": of_config(rope_scaling=None),
    "all angles scaled": of_config(rope_scaling=LinearScaling(8.0)),
    "angles scaled by 32, not by 8": of_config(rope_scaling=Llama3Scaling(32.0, 1.0, 4.0, 32)),
    "angles scaled for texts of 64": of_config(rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 64)),
    "angles scaled from two turns on": of_config(rope_scaling=Llama3Scaling(8.0, 2.0, 4.0, 32)),
    **few_mutants(CONFIG),
    "norm's epsilon 1e-6": of_config(rms_norm_eps=1e-6),
    "no window": of_config(WINDOW, sliding_window=None),
    "window one longer": of_config(WINDOW, sliding_window=7),
    "window one shorter": of_config(WINDOW, sliding_window=5),
    "no window in a step": of_config("text-window", sliding_window=None),
    "base of Llama 3 in SmolLM2": of_config("smollm2-135m-1-layer", rope_theta=5e5),
    "smollm2-135m registered with 9 heads of keys": registered("smollm2-135m", num_key_value_heads=9),
    "llama-3.2-1b registered with the scaling of 3.1": registered(
        "llama-3.2-1b", rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 8192)
    ),
    "llama-3.1-8b registered without scaling": registered("llama-3.1-8b", rope_scaling=None),
    "mistral-7b-v0.3 registered with a window": registered("mistral-7b-v0.3", sliding_window=4096),
    "mistral-7b-v0.3 registered with base 10,000": registered("mistral-7b-v0.3", rope_theta=1e4),
}

WITHIN_HW_BOUNDS = {"norm's epsilon 1e-6", "angles scaled by 32, not by 8", "base of Llama 3 in SmolLM2"}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
