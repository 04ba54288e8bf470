"""Settings for generation in a checkpoint's generation_config.json, and which of them are not applied here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_keys import CONFIG, GENERATION, read_config

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.text.sampling import Sampling

NAME = "generation_config.json"

_DRAWN = ("do_sample", "temperature", "top_k", "top_p")

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "diversity_penalty": (0.0,), "do_sample": (False,), "early_stopping": (False,),
    "encoder_no_repeat_ngram_size": (0,), "encoder_repetition_penalty": (1.0,), "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,), "guidance_scale": (1.0,), "length_penalty": (1.0,), "min_length": (0,), "min_p": (0.0,),
    "no_repeat_ngram_size": (0,), "num_beam_groups": (1,), "num_beams": (1,), "num_return_sequences": (1,),
    "remove_invalid_values": (False,), "renormalize_logits": (False,), "repetition_penalty": (1.0,),
    "temperature": (1.0,), "top_h": (1.0,), "top_k": (0,), "top_p": (1.0,), "typical_p": (1.0,),
}  # fmt: skip
"""Values with which a setting does not change the text."""

_ELSEWHERE = (
    "_from_model_config", "bos_token_id", "cache_implementation", "decoder_start_token_id", "eos_token_id",
    "max_length", "max_new_tokens", "output_attentions", "output_hidden_states", "output_logits", "output_scores",
    "pad_token_id", "return_dict_in_generate", "transformers_version", "use_cache",
)  # fmt: skip
"""Settings given in other ways here (length, tokens that end a text), or that do not change the text."""


def not_applied(directory: Path, sampling: Sampling | None) -> str:
    """The checkpoint's settings that change the text and are not applied, e.g. ``num_beams 4``; empty if none.

    They are those of generation_config.json, and of config.json as older versions wrote them. `sampling` replaces the
    checkpoint's; None: always the likeliest token. CheckpointError if a file is damaged.
    """
    wanted: dict[str, Any] = {}
    for name in (CONFIG, NAME):
        path = directory / name
        if path.is_file():
            content = read_config(path)
            wanted |= content if name == NAME else {key: content[key] for key in GENERATION if key in content}
    done: dict[str, Any] = {}
    if sampling is not None:
        done = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    told = []
    for key, value in sorted(wanted.items()):
        if value is None or key in _ELSEWHERE:
            continue
        if key in _DRAWN and sampling is not None:
            differs = key in done and value != done[key]
        elif key in _DRAWN:
            differs = bool(wanted.get("do_sample")) and value not in _NEUTRAL[key]
        else:
            differs = value not in _NEUTRAL.get(key, ())
        if differs:
            told.append(f"{key} {value}")
    return ", ".join(told)
