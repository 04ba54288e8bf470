"""What is published of a model's variants, and where the zoo says otherwise.

``published.json`` in a model's folder holds facts, written down from each checkpoint's config.json, not from the code:

    {"not_compared": {KEY: REASON},
     "variants": {VARIANT: {"repo": …, "revision": …, "config": {KEY: VALUE}, "defaults": {KEY: VALUE}}}}

`config` is what config.json says, without what only training and bookkeeping read (dropout, initializers, versions);
`defaults` is what transformers takes for keys that it leaves out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from zoo.registry import Model

FILE = "published.json"

_ABSENT = "absent"


def path_of(model: Model) -> Path:
    """Where the facts of a model are."""
    return model.files / FILE


def read(path: Path) -> dict[str, Any]:
    """The content of the file. ValueError where it is not as this module says; OSError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict) or set(content) != {"not_compared", "variants"}:
        raise ValueError(f"{path}: expected an object with not_compared and variants")
    for variant, entry in content["variants"].items():
        if set(entry) != {"repo", "revision", "config", "defaults"} or set(entry["config"]) & set(entry["defaults"]):
            raise ValueError(
                f"{path}: {variant}: expected repo, revision, config and defaults, and each key in one of the two"
            )
    return content


def config_json(folder: Path, variant: str, **changes: Any) -> dict[str, Any]:
    """The published config.json of a variant, defaults filled in, with `changes`: what a reference of it is built from.

    `folder` is the model's. KeyError for a key that it does not have, so that no change is silently lost.
    """
    entry = read(folder / FILE)["variants"][variant]
    told = {**entry["defaults"], **entry["config"]}
    unknown = sorted(set(changes) - set(told))
    if unknown:
        raise KeyError(f"{folder / FILE}: {variant} has no {', '.join(unknown)}")
    return {**told, **changes}


def problems(model: Model) -> list[str]:
    """Where `model` is not as published, one line each; empty when all agrees."""
    path = path_of(model)
    if not path.is_file():
        return [f"{path}: missing: write down what the config.json of each published variant says"]
    hub_config = None if model.checkpoint is None else model.checkpoint.hub_config
    if hub_config is None:
        return [f"{path}: {model.name} has no hub_config to compare with"]
    content = read(path)
    entries = content["variants"]
    found = [f"{variant}: has a source, but is not in {FILE}" for variant in sorted(set(model.sources) - set(entries))]
    for variant, entry in entries.items():
        if variant not in model.variants:
            found.append(f"{variant}: is in {FILE}, but is not a variant of {model.name}")
            continue
        source = model.sources.get(variant)
        if source is not None and (source.repo, source.revision) != (entry["repo"], entry["revision"]):
            found.append(
                f"{variant}: loaded from {source.repo}@{source.revision}, {FILE} is of {entry['repo']}@"
                f"{entry['revision']}"
            )
        ours = _facts(hub_config(model.config(variant)))
        told = _facts({**entry["defaults"], **entry["config"]})
        found += [f"{variant}: {text}" for text in _differences(ours, told, content["not_compared"])]
    return found


def _differences(ours: Mapping[str, Any], told: Mapping[str, Any], left_out: Mapping[str, str]) -> Iterator[str]:
    for key in sorted({*ours, *told} - set(left_out)):
        here, there = ours.get(key, _ABSENT), told.get(key, _ABSENT)
        # 1 == True, and 1 == 1.0: JSON does not tell the last two apart, but the first are different settings.
        if here != there or isinstance(here, bool) != isinstance(there, bool):
            yield f"{key} is {here!r}, published is {there!r}"


def _facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with the number of labels in place of their names."""
    found = {key: value for key, value in config.items() if key not in ("id2label", "label2id")}
    if "id2label" in config:
        found["num_labels"] = len(config["id2label"])
    return found
