"""What each key of a checkpoint's config.json means for a model: none passes unseen.

A model declares a `ConfigKeys`, and `zoo.checkpoints.config_check` holds checkpoints to it. A key fixes a field of our
config (`Field`), may have only the values that our program computes (`Only`), or does not matter for a reason
(`Ignored`); any other key is refused by name, unless it is null. transformers leaves the default of its class out of
the file, so a missing key counts as that default.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from zoo.checkpoints.tensor_files import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "config.json"

UNKNOWN: Any = object()
"""The default of a `Field` that declares none: a missing key then fits every variant."""


@dataclass(frozen=True, slots=True, init=False)
class DefaultOf:
    """A default that depends on the file's model_type, by its names: several classes of transformers share a model."""

    values: Mapping[str, Any]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "values", values)


@dataclass(frozen=True, slots=True)
class Field:
    """A key that fixes a field of our config: it must have the value that the model's `hub_config` gives.

    default: what transformers' class takes for a missing key, or a `DefaultOf`. name: the key of `hub_config`, where
    that is another one: several keys may fix one field. count: only the number of entries matters. or_else: content of
    config.json -> what null stands for. of: config -> the value, where `hub_config` lacks the key.
    """

    default: Any = UNKNOWN
    name: str = ""
    count: bool = False
    or_else: Callable[[Mapping[str, Any]], Any] | None = None
    of: Callable[[Any], Any] | None = None

    def missing(self, content: Mapping[str, Any]) -> Any:
        """The default, in a file with `content`."""
        default = self.default
        return (
            default.values.get(str(content.get("model_type")), UNKNOWN) if isinstance(default, DefaultOf) else default
        )

    def read(self, value: Any, content: Mapping[str, Any]) -> Any:
        """What `value`, of a file with `content` or the default, stands for."""
        if value is None and self.or_else is not None:
            try:
                return self.or_else(content)
            except (TypeError, ValueError, ArithmeticError):  # of sizes that are none, which are refused for themselves
                return None
        return len(value) if self.count and isinstance(value, (Mapping, list)) else value

    def wanted(self, name: str, told: Mapping[str, Any], config: Any) -> Any:
        """What `config`, whose `hub_config` is `told`, has in its place."""
        return self.read(told[name] if self.of is None else self.of(config), told)


@dataclass(frozen=True, slots=True, init=False)
class Only:
    """A key that may have these values alone, because our program computes nothing else.

    each: the value in the file is a list (or null), and each entry must be one of `values`.
    """

    values: tuple[Any, ...]
    each: bool

    def __init__(self, *values: Any, each: bool = False) -> None:
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "each", each)

    def takes(self, found: Any) -> bool:
        """Whether the program computes what the value says."""
        if self.each:
            return found is None or (isinstance(found, list) and all(entry in self.values for entry in found))
        return found in self.values

    def __str__(self) -> str:
        return ("one of " if len(self.values) > 1 else "") + ", ".join(map(short, self.values))


@dataclass(frozen=True, slots=True)
class Ignored:
    """A key that does not change what our program computes, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Nested:
    """A key whose value is an object of keys with verdicts of their own, or null."""

    keys: Mapping[str, Field | Only | Ignored | Nested]


Verdict: TypeAlias = Field | Only | Ignored | Nested

RETURNED = Ignored("what a call of PyTorch's model returns")
_COMPUTED = Ignored("how PyTorch computes the same")
_TRAINED = Ignored("how the model was trained")
_WRITTEN = Ignored("who wrote the file")
_TOKEN = Ignored("special tokens: those of the tokenizer are used")
_LABELS = Ignored("labels of a classifier, whose tensors the key map refuses")
_PIPELINE = Ignored("settings of transformers' pipelines")
_DRAWN = Ignored("how text is written: the command line says it, and run names what it does not apply")

GENERATION = (
    "bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping",
    "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "forced_bos_token_id", "forced_eos_token_id",
    "length_penalty", "max_length", "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams",
    "num_return_sequences", "output_scores", "remove_invalid_values", "repetition_penalty", "return_dict_in_generate",
    "suppress_tokens", "temperature", "top_k", "top_p", "typical_p",
)  # fmt: skip
"""Settings of generation that older versions of transformers wrote into config.json."""

DTYPES = (None, "auto", "bfloat16", "float16", "float32", "float64")

COMMON: Mapping[str, Verdict] = {
    **dict.fromkeys(("dtype", "torch_dtype"), Only(*DTYPES)),  # each tensor says its own, and is converted
    **dict.fromkeys(
        (
            "keys_to_ignore_at_inference", "output_attentions", "output_hidden_states", "output_past", "return_dict",
            "use_cache", "use_return_dict",
        ),
        RETURNED,
    ),
    **dict.fromkeys(
        (
            "_attn_implementation", "_attn_implementation_autoset", "attn_implementation", "chunk_size_feed_forward",
            "tf_legacy_loss", "torchscript", "use_bfloat16", "xla_device",
        ),
        _COMPUTED,
    ),
    **dict.fromkeys(("gradient_checkpointing", "initializer_range"), _TRAINED),
    **dict.fromkeys(
        ("_commit_hash", "_name_or_path", "transformers_version", "unsloth_fixed", "unsloth_version"), _WRITTEN
    ),
    **dict.fromkeys(
        (
            "bos_token_id", "cls_token_id", "decoder_start_token_id", "eos_token_id", "mask_token_id", "pad_token_id",
            "sep_token_id", "tokenizer_class", "unk_token_id",
        ),
        _TOKEN,
    ),
    **dict.fromkeys(("_num_labels", "finetuning_task", "id2label", "label2id", "num_labels", "problem_type"), _LABELS),
    "task_specific_params": _PIPELINE,
    **dict.fromkeys(GENERATION, _DRAWN),
    **dict.fromkeys(
        ("add_cross_attention", "is_decoder", "is_encoder_decoder", "tie_encoder_decoder"), Only(False)
    ),
    **dict.fromkeys(
        ("auto_map", "compression_config", "cross_attention_hidden_size", "prefix", "quantization_config"), Only(None)
    ),
    "pruned_heads": Only({}, None),
}  # fmt: skip
"""Keys of every class of transformers, of old versions too."""


@dataclass(frozen=True, slots=True)
class ConfigKeys:
    """Verdicts of a model by key, over those of `COMMON`; `config_class` is transformers' class of its config.json.

    lacking: (content of config.json, names of the tensors stored) -> what the file promises and the tensors lack, in
    words; empty if nothing is missing. For tensors that another one would replace without an error.
    """

    config_class: str
    own: Mapping[str, Verdict]
    lacking: Callable[[Mapping[str, Any], Collection[str]], str] = lambda content, names: ""
    keys: Mapping[str, Verdict] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", {**COMMON, **self.own})


def read_config(path: Path) -> dict[str, Any]:
    """The object in a file of JSON. CheckpointError if it is not one."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); download or save the checkpoint again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a JSON object; download or save the checkpoint again")
    return content


def same_as(key: str, default: Any) -> Callable[[Mapping[str, Any]], Any]:
    """The `Field.or_else` of a key that stands for another `key`, with the other's `default`."""
    return lambda content: content.get(key, default)


def divided(key: str, default: int, by: str, by_default: int) -> Callable[[Mapping[str, Any]], Any]:
    """The `Field.or_else` of a key that stands for one key over another, as the size of a head does."""
    return lambda content: content.get(key, default) // content.get(by, by_default)


def short(value: Any) -> str:
    """A value as a message shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def untied_without(decoder: str, head: str) -> Callable[[Mapping[str, Any], Collection[str]], str]:
    """The `lacking` of models whose tensor `decoder`, where it is not stored, is the word embeddings.

    head: how the names of the tensors begin without which the checkpoint has no such head at all.
    """

    def lacking(content: Mapping[str, Any], names: Collection[str]) -> str:
        if content.get("tie_word_embeddings") is not False or decoder in names:
            return ""
        if not any(name.startswith(head) for name in names):
            return ""
        return f"{CONFIG} says tie_word_embeddings False, and no {decoder} is stored: it was not saved whole"

    return lacking
