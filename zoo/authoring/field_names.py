"""The zoo's names for the fields of configs: transformers' own, one set for all models (docs/add_a_model.md, Names)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYNONYMS: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "n_embed", "d_model", "dim"),
    "intermediate_size": ("ffn_dim", "d_ff", "hidden_dim", "n_inner", "ffn_hidden_size"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("n_head_kv", "n_kv_heads", "num_kv_heads"),
    "head_dim": ("d_kv", "head_size"),
    "max_position_embeddings": ("n_positions", "max_seq_len"),
    "layer_norm_eps": ("layer_norm_epsilon", "layernorm_epsilon"),
    "rms_norm_eps": ("rms_norm_epsilon",),
}
"""A name of the zoo, and what other config classes of transformers call the same."""

ROTATIONS = ("rope_parameters", "rope_scaling")
"""Keys of a config.json with settings of the rotation: transformers 5 keeps the base there, older ones beside it."""


def zoo_names(fields: Iterable[str], attribute_map: Mapping[str, str]) -> dict[str, str]:
    """Each of the `fields` of a config class and the zoo's name for it.

    `attribute_map` is the class's own, other name -> field. A name that another field has already, or that two fields
    would get, is not given: these fields keep theirs. A field of ours does not begin with an underscore.
    """
    fields = list(fields)
    known = {other: name for name, others in SYNONYMS.items() for other in others}
    wanted = {field: known.get(field, field.lstrip("_")) for field in fields}
    wanted |= {field: name for name, field in attribute_map.items() if field in wanted and name in SYNONYMS}
    found = list(wanted.values())
    return {field: field if name in fields or found.count(name) > 1 else name for field, name in wanted.items()}


def rope_theta(value: Any) -> float | None:
    """The base of the rotation, from what a config class has as ``rope_parameters``; None unless it is a plain one."""
    if not isinstance(value, dict) or value.get("rope_type", "default") != "default":
        return None
    base = value.get("rope_theta")
    return float(base) if isinstance(base, int | float) else None
