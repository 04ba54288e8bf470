"""What the files of sentence-transformers beside a checkpoint ask for: only the mean of all tokens is computed here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.tensor_files import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

MODULES, SETTINGS, LENGTH = "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"

_KNOWN = ("Transformer", "Pooling", "Normalize")

_SIZES = ("word_embedding_dimension", "embedding_dimension", "include_prompt")


def check_pooling(directory: Path) -> None:
    """CheckpointError where sentence vectors of the checkpoint in `directory` are made otherwise than here.

    Without modules.json they are the mean of all tokens, for sentence-transformers as well.
    """
    for module in _read(directory / MODULES, []):
        kind = str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else repr(module)
        if kind not in _KNOWN:
            raise CheckpointError(f"{directory / MODULES}: has {kind}, and only {', '.join(_KNOWN)} are computed here")
        if kind == "Pooling":
            _check_mode(directory / str(module.get("path", "")) / "config.json")
    prompt = _read(directory / SETTINGS, {}).get("default_prompt_name")
    if prompt is not None:
        raise CheckpointError(f"{directory / SETTINGS}: default_prompt_name is {prompt!r}, and no prompt is put before")


def longest_sentence(directory: Path) -> int | None:
    """Tokens after which sentence-transformers cuts a sentence; None where the checkpoint does not say."""
    found = _read(directory / LENGTH, {}).get("max_seq_length")
    return None if found is None else int(found)


def _check_mode(path: Path) -> None:
    """The mean has a switch of its own in older files, and is a word in newer ones."""
    settings = _read(path, None)
    if settings is None:
        raise CheckpointError(f"{path}: no such file; it says how the vectors of tokens become that of a sentence")
    for key, value in settings.items():
        wanted = {"pooling_mode_mean_tokens": True, "pooling_mode": "mean"}.get(key, False)
        if key not in _SIZES and value is not None and value != wanted:
            raise CheckpointError(f"{path}: {key} is {value!r}, and only the mean of all tokens is computed here")
    if not settings.get("pooling_mode_mean_tokens") and settings.get("pooling_mode") != "mean":
        raise CheckpointError(f"{path}: does not ask for the mean of all tokens, and only that is computed here")


def _read(path: Path, without: Any) -> Any:
    """The content of a file of JSON, of the type of `without`; `without` itself if the file does not exist."""
    if not path.is_file():
        return without
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); download or save it again") from None
    if not isinstance(found, list if isinstance(without, list) else dict):
        raise CheckpointError(f"{path}: is not what sentence-transformers writes; download or save it again")
    return found
