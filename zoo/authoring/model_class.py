"""What transformers knows of a model class: its config, what its checkpoints hold, what goes in and comes out.

The model is built on torch's device ``meta``, where tensors have shapes and no memory. Needs torch, imported inside.
"""

from __future__ import annotations

import inspect
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.authoring.field_names import rope_theta, zoo_names
from zoo.authoring.shapes import Family, families

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    Saved = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]

BATCH, TOKENS = 13, 17
"""Of the inputs by which the shapes of the outputs are found: sizes that no config has."""

_LARGEST = 50_000_000
"""Parameters of the largest model that is run to see what comes out."""

_TRAINING = re.compile(
    r".*(dropout|_pdrop|layerdrop|drop_path|initializer|init_std|_token_id|_loss|label2id|id2label|classif|summary_).*|qa_.*"
    r"|pretraining_tp|use_cache|transformers_version|is_encoder_decoder|is_decoder|add_cross_attention"
    r"|chunk_size_feed_forward|output_.*|return_dict|problem_type|dtype|architectures|reorder_and_upcast_attn"
    r"|apply_spec_augment|mask_(time|feature)_\w+|logit_scale_init_value|encoder_stride"
)
"""Fields of configs that say nothing of a forward pass, or nothing that the zoo's models have."""

_TINY: tuple[tuple[str, int, int], ...] = (
    (r"vocab_size", 211, 10),
    (r"max_position_embeddings|max_source_positions", 40, 3),
    (r"max_target_positions", 44, 3),
    (r"num_hidden_layers|encoder_layers", 4, 1),
    (r"(?:num_)?decoder_layers", 5, 1),
    (r"num_attention_heads|\w+_attention_heads", 6, -1),
    (r"num_key_value_heads", 2, 0),
    (r"head_dim", 10, 2),
    (r"hidden_size|embed_dim", 48, 12),
    (r"intermediate_size|encoder_ffn_dim", 90, 20),
    (r"decoder_ffn_dim", 100, 20),
    (r"projection_dim", 36, 0),
)
"""Sizes for tests by the zoo's names, all different, so that a wrong axis shows; 2, 4 or 8 chips divide few of them.
The last number is how much more the next part of a config has."""


class ModelClassError(ValueError):
    """A class that no model can be begun from; the text says which ones there are, or what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """What is known of a config class."""

    config_class: str
    model_type: str
    fields: dict[str, Any]
    """By the zoo's names and with their defaults: the numbers, and tuples of numbers, that a forward pass may depend
    on."""
    keys: dict[str, str]
    """Key of a config.json -> the field that it fixes."""
    aliases: dict[str, str]
    """Other names by which the class knows a key."""
    others: dict[str, Any]
    """Keys that a field cannot hold, with their defaults."""
    defaults: dict[str, Any]
    """All keys of a config.json, with what the class takes where the file is silent."""
    tokens: dict[str, int]
    """Special tokens that a small vocabulary does not have, moved to where it has some."""
    tiny: dict[str, Any]
    """Fields that a variant for tests has otherwise."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """Words and switches, such as an activation, with their defaults: the forward pass computes these alone."""
    derived: dict[str, str] = field(default_factory=dict)
    """Key that follows from others where it is left out or null -> code of the function that says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelClass(ConfigFacts):
    """What is known of the class `kind` and of its config."""

    kind: str
    module: str
    """Where transformers has its code."""
    families: list[Family]
    """What a checkpoint holds; layers of the same shapes together."""
    inputs: dict[str, str]
    """Name -> shape in words."""
    outputs: dict[str, str]
    """Name -> shape in words; empty where they could not be found."""
    blocks: list[tuple[str, str]]
    """Modules of the reference with a number for each layer as ``{0}``, and their classes."""
    parts: dict[str, ConfigFacts] = field(default_factory=dict)
    """Configs within the config, such as ``text_config``, by their keys."""


def field_of(part: str) -> str:
    """The field of our config that holds a part of it: ``text`` of ``text_config``."""
    return part.removesuffix("_config")


def read(kind: str) -> ModelClass:
    """What transformers knows of the class `kind`. ModelClassError without that class, or without torch."""
    found = _class(kind)
    config_class = found.config_class
    try:
        config = config_class()
        default = _built(found, config)
    except Exception as error:
        raise ModelClassError(
            f"{kind} cannot be built from the defaults of {config_class.__name__} ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}): begin without --from"
        ) from None
    kinds = {"": config_class, **config_class.sub_configs}
    values = {key: _fields(one, getattr(config, key) if key else config) for key, one in kinds.items()}
    for key, one in values.items():  # its parts are not among the values of the whole, nor its own among theirs
        beside = values[""] if key else kinds
        values[key] = {name: value for name, value in one.items() if name not in beside}
    own = {key: {name: value for name, value in one.items() if _plain(name, value)} for key, one in values.items()}
    names = {key: zoo_names(one, kinds[key].attribute_map) for key, one in own.items()}
    changed, small = _tiny(found, kinds, own, names)
    facts = {
        key: _facts(one, getattr(config, key) if key else config, values[key], own[key], names[key], changed[key])
        for key, one in kinds.items()
    }
    whole = facts.pop("")
    sizes = _sizes(whole, "")
    for key, part in facts.items():
        sizes |= _sizes(part, f"{field_of(key)}.")
    inputs = _inputs(found, config, {name.rpartition(".")[2] for name in sizes})
    return ModelClass(
        kind=kind,
        module=found.__module__,
        **{one.name: getattr(whole, one.name) for one in fields(whole)},
        families=families(_tensors(default), _tensors(small), sizes),
        inputs=inputs,
        outputs=_outputs(small, inputs, {name: pair[1] for name, pair in sizes.items()}),
        blocks=_blocks(small),
        parts=facts,
    )


def _facts(
    config_class: Any,
    config: Any,
    values: Mapping[str, Any],
    own: Mapping[str, Any],
    names: Mapping[str, str],
    changed: Mapping[str, Any],
) -> ConfigFacts:
    """Of one config class: its `values`, those that fields hold (`own`), their zoo's names, and what tests change."""
    keys = dict(names)
    told, tiny = ({names[key]: value for key, value in some.items()} for some in (own, changed))
    theta = rope_theta(values.get("rope_parameters"))
    if theta is not None:
        told["rope_theta"], keys["rope_theta"] = theta, "rope_theta"
    fixed = {key: value for key, value in values.items() if key not in own and isinstance(value, bool | str)}
    return ConfigFacts(
        config_class=config_class.__name__,
        model_type=str(config_class.model_type),
        fields=_with_head_dim(told),
        keys=keys,
        aliases=dict(config_class.attribute_map),
        others={
            key: value
            for key, value in values.items()
            if key not in own and key not in fixed and not (key == "rope_parameters" and theta is not None)
        },
        defaults=config.to_dict(),
        tokens=_tokens(config_class, changed),
        tiny=_tiny_with_head_dim(told, tiny),
        fixed=fixed,
        derived=_derived(config_class, own),
    )


def _sizes(facts: ConfigFacts, begin: str) -> dict[str, tuple[int, int]]:
    """Fields, as ``text.hidden_size``, and what they are in the default config and in the one for tests."""
    return {
        f"{begin}{name}": (value, facts.tiny.get(name, value))
        for name, value in facts.fields.items()
        if isinstance(value, int) and not isinstance(value, bool) and value > 1
    }


def _derived(config_class: Any, own: Mapping[str, Any]) -> dict[str, str]:
    """Keys that are left out by default and follow from another, or from two, found by changing these."""
    parameters = inspect.signature(config_class.__init__).parameters
    found = {}
    for key, value in own.items():
        if parameters[key].default is not None or not isinstance(value, int):
            continue
        others = {name: size for name, size in own.items() if name != key and isinstance(size, int) and size > 1}
        moving = {name: size for name, size in others.items() if _told(config_class, name, 2 * size, key) == 2 * value}
        parts = {name: size for name, size in others.items() if 2 * _told(config_class, name, 2 * size, key) == value}
        for name, size in moving.items():
            by = next((one for one, count in parts.items() if size == value * count), None)
            if size == value:
                found[key] = f'same_as("{name}", {size})'
            elif by is not None:
                found[key] = f'divided("{name}", {size}, "{by}", {parts[by]})'
    return found


def _told(config_class: Any, name: str, value: int, key: str) -> int:
    """What a config has as `key` if `name` is `value`; 0 where it cannot."""
    try:
        return int(getattr(config_class(**{name: value}), key))
    except Exception:
        return 0


def saved_tensors(kind: str, hub_config: Mapping[str, Any]) -> Saved:
    """Name -> shape and dtype of what the class `kind` with this config.json saves; what is tied once.

    ModelClassError where transformers has no such class, or cannot build it from that config.
    """
    found = _class(kind)
    try:
        return _tensors(_built(found, found.config_class.from_dict(dict(hub_config))))
    except Exception as error:
        raise ModelClassError(
            f"{kind} cannot be built from the model's hub_config ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]})"
        ) from None


def _class(kind: str) -> Any:
    try:
        import torch  # noqa: F401
        import transformers
    except ModuleNotFoundError as error:
        raise ModelClassError(
            f"{error.name} is not installed: names and shapes of the reference's parameters come from its PyTorch "
            "model; pip install 'pytest-tt[reference,zoo]', or begin without --from"
        ) from None
    found = getattr(transformers, kind, None)
    if inspect.isclass(found) and issubclass(found, transformers.PreTrainedModel):
        if getattr(found, "config_class", None) is not None:
            return found
        raise ModelClassError(f"{kind} has no config of its own: name the class of one architecture")
    import difflib

    known = [name for name in dir(transformers) if re.search(r"For[A-Z]|Model$", name) and not name.startswith("Auto")]
    near = difflib.get_close_matches(kind, known, n=4, cutoff=0.5)
    meant = f"; the nearest: {', '.join(near)}" if near else ""
    raise ModelClassError(
        f"transformers {transformers.__version__} has no model class {kind!r}: expected one such as "
        f"DistilBertForMaskedLM{meant}"
    )


def _built(found: Any, config: Any) -> Any:
    import torch

    with torch.device("meta"), _silent():
        return found(config).eval()


@contextmanager
def _silent() -> Iterator[None]:
    """Without what transformers has to say of configs and kernels."""
    import logging

    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _tensors(model: Any) -> Saved:
    """Parameters without their ties, and buffers that are saved."""
    saved: Saved = {}
    parameters = dict(model.named_parameters())  # each once, whatever is tied to it
    ties = {name for name, _ in model.named_parameters(remove_duplicate=False)} - set(parameters)
    held = {name: tensor for name, tensor in model.state_dict().items() if name not in ties}
    for name, tensor in _as_saved(model, held).items():
        dtype = np.dtype(np.float32 if tensor.is_floating_point() else np.int64)
        saved[name] = (tuple(tensor.shape), dtype)
    return saved


def _as_saved(model: Any, held: dict[str, Any]) -> dict[str, Any]:
    """`held` as save_pretrained writes it: transformers 5 has modules of other names than the checkpoints of ViT."""
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:  # transformers 4 saves what it holds
        return held
    found = dict(revert_weight_conversion(model, dict(held)))
    renamed = set(found) - set(held)
    return found if renamed else {name: found[name] for name in held}  # in the order of the modules


def _fields(config_class: Any, config: Any) -> dict[str, Any]:
    """The fields of its own and their values, lists as tuples."""
    from transformers import PretrainedConfig

    general = set(inspect.signature(PretrainedConfig.__init__).parameters)
    names = [name for name in inspect.signature(config_class.__init__).parameters if name not in general]
    values = {name: getattr(config, name, None) for name in names if not _TRAINING.fullmatch(name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _plain(name: str, value: Any) -> bool:
    """Whether a field of ours can hold it; long tuples are one entry a layer, which follow from others."""
    if isinstance(value, tuple):
        return len(value) <= 8 and all(isinstance(entry, int | float) for entry in value)
    if isinstance(value, bool):
        return name == "tie_word_embeddings"
    return isinstance(value, int | float)


def _with_head_dim(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` with the size of a head behind their number: the number grows where a mesh does not divide it."""
    hidden, heads = fields.get("hidden_size"), fields.get("num_attention_heads")
    if "head_dim" in fields or not isinstance(hidden, int) or not isinstance(heads, int) or hidden % heads:
        return dict(fields)
    found = {}
    for name, value in fields.items():
        found[name] = value
        if name == "num_attention_heads":
            found["head_dim"] = hidden // heads
    return found


def _tiny_with_head_dim(fields: Mapping[str, Any], tiny: Mapping[str, Any]) -> dict[str, Any]:
    """`tiny` with the size of a head where it is not that of `fields`."""
    size = _with_head_dim({**fields, **tiny}).get("head_dim")
    if "head_dim" in fields or size == _with_head_dim(fields).get("head_dim"):
        return dict(tiny)
    return {**tiny, "head_dim": size}


def _tiny(
    found: Any,
    kinds: Mapping[str, Any],
    own: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, Mapping[str, str]],
) -> tuple[dict[str, dict[str, Any]], Any]:
    """Keys for tests, and the model that has them; fewer of them where it cannot be built with all.

    `kinds`: the config class as "", and those of its parts by key; `own`: keys and defaults of each, `names`: the zoo's
    names of them.
    """
    grouped = {key: _wanted(own[key], names[key], step) for step, key in enumerate(kinds)}
    layers = {
        key: {name: size for name, size in one.items() if names[key][name].endswith("layers")}
        for key, one in grouped.items()
    }
    alone = {
        key: {
            name: one.get(_key_of("num_attention_heads", names[key]), size)
            if names[key][name] == "num_key_value_heads"
            else size
            for name, size in one.items()
        }
        for key, one in grouped.items()
    }
    for changes in (grouped, alone, layers):
        given = {key: {**one, **_tokens(kinds[key], one)} for key, one in changes.items()}
        try:
            model = _built(found, kinds[""](**given.pop(""), **given))
        except Exception:
            continue
        # A class may derive one size from another.
        told = {key: _fields(kinds[key], getattr(model.config, key) if key else model.config) for key in kinds}
        return {
            key: {name: told[key][name] for name, value in one.items() if told[key][name] != value}
            for key, one in own.items()
        }, model
    return {key: {} for key in kinds}, _built(found, kinds[""]())


def _wanted(own: Mapping[str, Any], names: Mapping[str, str], step: int) -> dict[str, int]:
    """Small sizes of the keys that have one, for the part of the config that is number `step`."""
    found = {}
    for key, value in own.items():
        sizes = (size + step * more for pattern, size, more in _TINY if re.fullmatch(pattern, names[key]))
        size = next(sizes, None)
        if size is not None and isinstance(value, int) and value > 1:
            found[key] = size
    return found


def _key_of(name: str, names: Mapping[str, str]) -> str:
    """The key that the zoo calls `name`; "" without one."""
    return next((key for key, one in names.items() if one == name), "")


def _tokens(config_class: Any, changes: Mapping[str, Any]) -> dict[str, int]:
    """Special tokens that a small vocabulary does not have, as token 0."""
    vocabulary = changes.get("vocab_size")
    default = config_class()
    names = [name for name in inspect.signature(config_class.__init__).parameters if name.endswith("_token_id")]
    values = {name: getattr(default, name, None) for name in names}
    return {name: 0 for name, value in values.items() if vocabulary and isinstance(value, int) and value >= vocabulary}


def _inputs(found: Any, config: Any, fields: Collection[str]) -> dict[str, str]:
    """The inputs that a model of the zoo takes: texts, images, sounds, and what a decoder has written."""
    taken = inspect.signature(found.forward).parameters
    main = found.main_input_name
    names = ["input_ids", "attention_mask"] if main == "input_ids" else []
    names += ["token_type_ids"] if names and "type_vocab_size" in fields else []
    inputs = {name: "int32 [batch, tokens]" for name in names if name in taken}
    if "pixel_values" in taken and (main == "pixel_values" or "image_size" in fields):
        inputs["pixel_values"] = "float32 [batch, height, width, channels]"
    if main == "input_features":
        inputs[main] = "float32 [batch, num_mel_bins, frames]"
    if config.is_encoder_decoder and "decoder_input_ids" in taken:
        inputs["decoder_input_ids"] = "int32 [batch, tokens]"
    return inputs


def _outputs(model: Any, inputs: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, str]:
    """Names and shapes of what a small model gives; nothing where it does not run so, or is not small."""
    import torch

    if sum(parameter.numel() for parameter in model.parameters()) > _LARGEST:
        return {}

    def size(name: str, otherwise: int) -> int:
        return next((value for one, value in sizes.items() if one.rpartition(".")[2] == name), otherwise)

    side = size("image_size", 64)
    others = {
        "pixel_values": (BATCH, size("num_channels", 3), side, side),
        "input_features": (BATCH, size("num_mel_bins", 80), 2 * size("max_source_positions", 1500)),
    }
    given = {
        name: torch.zeros(others[name]) if name in others else torch.ones((BATCH, TOKENS), dtype=torch.long)
        for name in inputs
    }
    try:
        # On the CPU, all zeros: masks look at data, which `meta` has none of.
        with torch.inference_mode(), _silent():
            model.to_empty(device="cpu")
            for tensor in (*model.parameters(), *model.buffers()):
                tensor.zero_()
            found = model(**given)
    except Exception:  # a model may want inputs that are not known here
        return {}
    words = {BATCH: "batch", TOKENS: "tokens"} | {size: name for name, size in reversed(list(sizes.items()))}
    return {
        name: f"[{', '.join(str(words.get(size, size)) for size in value.shape)}]"
        for name, value in found.items()
        if isinstance(value, torch.Tensor)
    }


def _blocks(model: Any) -> list[tuple[str, str]]:
    """The modules that a comparison begins with: entries of numbered lists, and beside them what has parameters."""
    found: dict[str, str] = {}
    for name, module in model.named_modules():
        numbers = re.findall(r"(?<=\.)\d+(?=\.|$)", name)
        plain = not numbers and not any(module.children()) and any(True for _ in module.parameters())
        layer = len(numbers) == 1 and re.search(r"\.\d+$", name) is not None
        if plain or layer:
            found.setdefault(re.sub(r"\.\d+$", ".{0}", name), type(module).__name__)
    return list(found.items())
