"""Checkpoints of the Hugging Face hub, in its cache: at a pinned commit, whole, and only what is needed."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from zoo.tensor_files import INDEX, SINGLE, CheckpointError, shards_of

EXTRAS = (
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""What turns text and images into inputs and outputs into text; a repository has some of them."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where published weights are: a repository on the Hugging Face hub, at a pinned commit."""

    repo: str
    revision: str


class UnreachableError(CheckpointError):
    """A file is not in the cache and the hub cannot be asked for it."""


def fetch(source: Source) -> Path:
    """The directory in the hub's cache with the checkpoint `source`: config.json, its safetensors files, and `EXTRAS`.

    What is not in the cache yet is downloaded, unless HF_HUB_OFFLINE says not to. CheckpointError if that fails, or if
    what came is not what the hub announced: then it is taken out of the cache again. Extras that the cache lacks while
    the hub is out of reach are no error.
    """
    _file(source, "config.json", required=False)
    directory = _weights(source)
    for name in EXTRAS:
        try:
            _file(source, name, required=False)
        except UnreachableError:
            break
    return directory


def _weights(source: Source) -> Path:
    single = _file(source, SINGLE, required=False)
    if single is not None:
        return single.parent
    index = _file(source, INDEX)
    assert index is not None
    for name in sorted(set(shards_of(index).values())):
        _file(source, name)
    return index.parent


def _file(source: Source, name: str, *, required: bool = True) -> Path | None:
    """Where the cache has a file of `source`; None if the repository has none and it is not `required`.

    UnreachableError if the cache has not and the hub is out of reach, CheckpointError for all else that goes wrong.
    """
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError as error:
        raise CheckpointError(
            f"{source.repo}: huggingface_hub is not installed ({error}): pip install 'pytest-tt[zoo]', "
            "or name a directory with the checkpoint"
        ) from error
    cached = try_to_load_from_cache(source.repo, name, revision=source.revision)
    if isinstance(cached, str):
        return Path(cached)
    if cached is not None and not required:
        return None  # the hub has said before that there is none
    what = f"{source.repo} at {source.revision}: {f'{SINGLE} or {INDEX}' if name == INDEX else name}"
    try:
        path = Path(hf_hub_download(source.repo, name, revision=source.revision))
    except LocalEntryNotFoundError as error:
        if not required and _offline():
            return None
        raise UnreachableError(f"{what} is not in the cache and {_why_not(error)}") from error
    except EntryNotFoundError as error:
        if not required:
            return None
        raise CheckpointError(f"{what}: the repository has no such file; only safetensors are read") from error
    except Exception as error:  # errors of the transport have no public base class
        raise CheckpointError(
            f"{what} was not downloaded ({_line(error)}); the cache is as it was: try again, or name a directory "
            "with the checkpoint"
        ) from error
    _check(path, what)
    return path


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _why_not(error: Exception) -> str:
    if _offline():
        return "HF_HUB_OFFLINE is set: unset it, or name a directory with the checkpoint"
    return f"the hub cannot be reached ({_line(error.__cause__ or error)}): try again, or name a directory"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def _check(path: Path, what: str) -> None:
    """Refuse a fresh file whose SHA-256 is not the one that names it in the cache (large files have such names)."""
    blob = path.resolve()
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return
    with blob.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != blob.name:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        raise CheckpointError(
            f"{what}: SHA-256 {found} is not the announced {blob.name}; it was taken out of the cache: try again"
        )
