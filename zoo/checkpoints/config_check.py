"""Whether a checkpoint's config.json says what a variant computes, by what the model declares of each key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_keys import (
    COMMON,
    CONFIG,
    RETURNED,
    UNKNOWN,
    Field,
    Nested,
    Only,
    read_config,
    short,
)
from zoo.checkpoints.tensor_files import SINGLE, CheckpointError, TensorFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zoo.checkpoints.config_keys import Verdict
    from zoo.registry import Checkpoint, Model

_OF_TRAINING = re.compile(r".*(dropout|_pdrop|layerdrop|initializer).*|init_std")
"""Keys that change nothing here, where a model does not declare its own."""


def keys_of(checkpoint: Checkpoint, told: Mapping[str, Any]) -> Mapping[str, Verdict]:
    """The verdicts of a model: those that it declares; else those of `COMMON`, and every key of `told` is a `Field`.

    told: the hub_config of one of its configs.
    """
    if checkpoint.config_keys is not None:
        return checkpoint.config_keys.keys
    own = {key: Field() for key in told if key not in COMMON and key != "architectures"}
    return {**COMMON, "architectures": RETURNED, **own}


def contradictions(model: Model, variant: str, content: Mapping[str, Any]) -> list[str]:
    """What a checkpoint's config.json says that `variant` of `model` does not compute, a text each.

    Of another kind of model only that; else what no variant computes, and then fields that this one has otherwise.
    Empty where the model has no config.json.
    """
    checkpoint = model.checkpoint
    if checkpoint is None or checkpoint.hub_config is None:
        return []
    config = model.config(variant)
    told = checkpoint.hub_config(config)
    kind = content.get("model_type")
    if kind is not None and kind != told.get("model_type", kind):
        return [f"model_type is {kind!r}, not {told['model_type']!r}"]
    keys, declared = keys_of(checkpoint, told), checkpoint.config_keys is not None
    return [*refusals(keys, content, declared=declared), *_differing(keys, content, told, config)]


def refusals(keys: Mapping[str, Verdict], content: Mapping[str, Any], *, declared: bool = True) -> list[str]:
    """Keys of `content` with values that no variant computes, and keys without a verdict in `keys`, a text each."""
    found = []
    for key, (verdict, value) in _walked(keys, content).items():
        if verdict is None:
            if value is not None and (declared or not _OF_TRAINING.fullmatch(key)):
                found.append(
                    f"{key} is {short(value)}, a key that the zoo does not know (remove it from {CONFIG} if it does "
                    "not change what the model computes)"
                )
        elif isinstance(verdict, Only) and not verdict.takes(value):
            found.append(f"{key} is {short(value)}, not {verdict}")
        elif isinstance(verdict, Nested) and value is not None:
            found.append(f"{key} is {short(value)}, not an object of settings")
    return found


def check_config(model: Model, variant: str, directory: Path) -> None:
    """CheckpointError if the checkpoint in `directory`, or that single file, has a config.json not of `variant`."""
    path = (directory.parent if directory.name == SINGLE else directory) / CONFIG
    checkpoint = model.checkpoint
    if checkpoint is None or checkpoint.hub_config is None or not path.is_file():
        return
    content = read_config(path)
    wrong = contradictions(model, variant, content)
    if wrong:
        raise CheckpointError(f"{path}: not of {model.name} {variant}: {', '.join(wrong)}")
    if checkpoint.config_keys is not None:
        lacking = checkpoint.config_keys.lacking(content, TensorFiles(directory))
        if lacking:
            raise CheckpointError(f"{directory}: {lacking}")


def _walked(
    keys: Mapping[str, Verdict], content: Mapping[str, Any], outer: str = ""
) -> dict[str, tuple[Verdict | None, Any]]:
    """Each key of `content`, nested ones as ``outer.inner``: its verdict and value, in the order of the verdicts."""
    found: dict[str, tuple[Verdict | None, Any]] = {}
    order = {key: at for at, key in enumerate(keys)}
    for key in content if outer else sorted(content, key=lambda key: order.get(key, len(order))):
        verdict, value = keys.get(key), content[key]
        if isinstance(verdict, Nested) and isinstance(value, Mapping):
            found |= _walked(verdict.keys, value, f"{outer}{key}.")
        else:
            found[f"{outer}{key}"] = verdict, value
    return found


def _differing(
    keys: Mapping[str, Verdict], content: Mapping[str, Any], told: Mapping[str, Any], config: Any
) -> Iterator[str]:
    """Fields of `config` that the file has otherwise, or the class's default has where the file leaves them out."""
    given = set()
    for key, (verdict, value) in _walked(keys, content).items():
        if isinstance(verdict, Field):
            name = verdict.name or key
            given.add(name)
            found, wanted = verdict.read(value, content), verdict.wanted(name, told, config)
            if found != wanted:
                yield f"{key} {'has' if verdict.count else 'is'} {short(found)}, not {short(wanted)}"
    for key, verdict in (*keys.items(), *_left_out(keys, content)):
        if not isinstance(verdict, Field) or verdict.name or key in given:
            continue
        default = verdict.missing(content)
        if default is not UNKNOWN:
            found, wanted = verdict.read(default, content), verdict.wanted(key, told, config)
            if found != wanted:
                yield f"{key} is left out, which means {short(found)}, not {short(wanted)}"


def _left_out(keys: Mapping[str, Verdict], content: Mapping[str, Any]) -> Iterator[tuple[str, Verdict]]:
    """Verdicts on keys of objects that `content` has, and that those leave out, as ``outer.inner``."""
    for key, verdict in keys.items():
        if isinstance(verdict, Nested) and isinstance(content.get(key), Mapping):
            for name, inner in verdict.keys.items():
                if name not in content[key]:
                    yield f"{key}.{name}", inner
