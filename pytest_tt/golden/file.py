"""The golden file: recorded inputs and outputs of an independent reference, and where they come from."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_tt.compare.dtypes import kind_of
from pytest_tt.compare.mask import blank, check_names, counted
from pytest_tt.compare.tree import flatten
from pytest_tt.files import write_atomically

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from typing import Any

    Array = np.ndarray[Any, Any]

SCHEMA = 1
KEY = "pytest_tt"
"""The only metadata key: safetensors writes several keys in random order, so one keeps the bytes stable."""
SUFFIX = ".safetensors"
UPDATE = "record it again with --tt-golden-update"

_NUMPY_TYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32",
    "I32": "int32", "U64": "uint64", "I64": "int64", "F16": "float16", "F32": "float32", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip
_ML_TYPES = {"BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}


class GoldenError(ValueError):
    """A golden that is missing, broken or cannot be written; the text names the file and what to do."""


@dataclass(frozen=True)
class Golden:
    """Recorded inputs and outputs by name, and their provenance.

    masks: by the name of an output, which of its elements count (padding does not, for example): bools, or integers 0
    and 1, over the output's first axes. Elements that a mask hides are stored as 0.
    info: `case`, `model`, `variant`, `weights` (kind, seed or repo, revision and file, digest),
    `reference` (implementation, versions), `dtype` and optionally `bounds` with a `reason`. path: None
    before it is saved.
    """

    path: Path | None = None
    inputs: dict[str, Array] = field(default_factory=dict)
    outputs: dict[str, Array] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    masks: dict[str, Array] = field(default_factory=dict)


def load(path: str | os.PathLike[str]) -> Golden:
    """Read a golden. Raises GoldenError if it is missing, damaged, or of another schema."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise GoldenError(f"{path}: no such golden; {UPDATE}") from None
    except OSError as error:
        raise GoldenError(f"{path}: cannot be read ({error.strerror}); expected a golden, {UPDATE}") from error
    tensors, metadata = _parse(path, data)
    info = _info(path, metadata)
    groups: dict[str, dict[str, Array]] = {"input": {}, "output": {}, "mask": {}}
    for name, tensor in tensors.items():
        group, _, leaf = name.partition("/")
        if group not in groups or not leaf:
            raise GoldenError(f"{path}: tensor {name!r} is not input/<name>, output/<name> or mask/<name>; {UPDATE}")
        groups[group][leaf] = tensor
    if not groups["output"]:
        raise GoldenError(f"{path}: holds no output/<name> tensor, so there is nothing to compare; {UPDATE}")
    _masks(path, groups["output"], groups["mask"])
    return Golden(path, groups["input"], groups["output"], info, groups["mask"])


def _masks(path: Path, outputs: Mapping[str, Array], masks: Mapping[str, Array]) -> dict[str, Array | None]:
    """Which elements of each output count, in its shape. Raises GoldenError for a mask that does not fit."""
    try:
        check_names(masks, outputs)
        return {name: counted(name, [masks[name]], outputs[name].shape) for name in masks}
    except ValueError as error:
        raise GoldenError(f"{path}: {error}; {UPDATE}") from None


def _parse(path: Path, data: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    from safetensors import SafetensorError, deserialize

    try:
        stored: list[tuple[str, dict[str, Any]]] = deserialize(data)  # type: ignore[no-untyped-call]
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except (SafetensorError, ValueError) as error:
        what = str(error).removeprefix("Error while deserializing: ")
        raise GoldenError(
            f"{path}: not a whole safetensors file ({len(data)} bytes: {what}); "
            f"check it out again (git lfs?) or {UPDATE}"
        ) from error
    tensors = {}
    for name, entry in sorted(stored, key=lambda pair: pair[0]):
        dtype = _dtype(str(entry["dtype"]))
        if dtype is None:
            raise GoldenError(f"{path}: tensor {name!r} has dtype {entry['dtype']}, which no golden may hold; {UPDATE}")
        tensors[name] = np.frombuffer(entry["data"], dtype=dtype).reshape(entry["shape"])
    return tensors, metadata


def _dtype(name: str) -> np.dtype[Any] | None:
    if name in _NUMPY_TYPES:
        return np.dtype(_NUMPY_TYPES[name]).newbyteorder("<")
    if name in _ML_TYPES:
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_TYPES[name]))
        return found
    return None


def _info(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    if KEY not in metadata:
        raise GoldenError(
            f"{path}: is a safetensors file but not a golden (it lacks metadata key {KEY!r}); move it away, or {UPDATE}"
        )
    try:
        info = json.loads(metadata[KEY])
    except ValueError as error:
        raise GoldenError(f"{path}: metadata {KEY!r} is not JSON ({error}); {UPDATE}") from error
    if not isinstance(info, dict):
        raise GoldenError(f"{path}: metadata {KEY!r} is {info!r}, expected a JSON object; {UPDATE}")
    if info.get("schema") != SCHEMA:
        raise GoldenError(
            f"{path}: golden schema is {info.get('schema')!r}, this pytest-tt reads schema {SCHEMA}; "
            f"{UPDATE}, or use the pytest-tt that wrote it"
        )
    return info


def save(path: str | os.PathLike[str], golden: Golden) -> bool:
    """Write a golden atomically; True if the bytes of the file changed.

    The same golden always gives the same bytes. Raises GoldenError if it has no outputs, holds NaN or Inf
    (unless a mask hides them), does not say which implementation it comes from, has a mask that does not fit,
    or cannot be stored.
    """
    path = Path(path)
    data = encode(path, golden)
    try:
        if path.read_bytes() == data:
            return False
    except OSError:
        pass  # missing or unreadable: the write below reports what is wrong, if anything
    try:
        write_atomically(path, data)
    except OSError as error:
        raise GoldenError(
            f"{path}: cannot be written ({error.strerror}); check the directory's permissions and free space"
        ) from error
    return True


def encode(path: Path, golden: Golden) -> bytes:
    """The bytes of a golden file; `path` is named in errors. Raises GoldenError as `save` does."""
    from safetensors import SafetensorError
    from safetensors.numpy import save as to_bytes

    masks = _masks(path, golden.outputs, golden.masks)
    tensors = {f"input/{name}": array for name, array in golden.inputs.items()}
    tensors |= {f"output/{name}": blank(array, masks.get(name)) for name, array in golden.outputs.items()}
    tensors |= {f"mask/{name}": array.astype(bool) for name, array in golden.masks.items()}
    if not golden.outputs:
        raise GoldenError(f"{path}: not recorded, the reference gave no outputs; return at least one")
    for name, array in tensors.items():
        if kind_of(array.dtype) in ("float", "low float", "complex"):
            with np.errstate(all="ignore"):
                finite = np.isfinite(array).all()
            if not finite:
                raise GoldenError(f"{path}: not recorded, {name} of the reference holds NaN or Inf; fix the reference")
    try:
        info = json.dumps(_complete(path, golden), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return to_bytes({name: little_endian(tensors[name]) for name in sorted(tensors)}, metadata={KEY: info})
    except (SafetensorError, TypeError, ValueError) as error:
        if isinstance(error, GoldenError):
            raise
        raise GoldenError(f"{path}: not recorded, it cannot be stored: {error}") from error


def _complete(path: Path, golden: Golden) -> dict[str, Any]:
    """Provenance with every key of the schema; null for what the reference does not say."""
    info = dict(golden.info)
    if info.setdefault("schema", SCHEMA) != SCHEMA:
        raise GoldenError(f"{path}: not recorded, info['schema'] is {info['schema']!r}, expected {SCHEMA}")
    reference = info.get("reference")
    if not isinstance(reference, dict) or not reference.get("implementation"):
        raise GoldenError(
            f"{path}: not recorded, info['reference'] does not say which implementation it is; "
            f'give {{"implementation": "transformers ResNetModel", "versions": {{"torch": "2.13.0"}}}}'
        )
    info["reference"] = {"versions": {}, **reference}
    dtypes = sorted({array.dtype.name for array in golden.outputs.values()})
    info.setdefault("dtype", dtypes[0] if len(dtypes) == 1 else "mixed")
    for key, value in {"case": path.stem, "model": None, "variant": None, "weights": {"kind": "none"}}.items():
        info.setdefault(key, value)
    return info


def little_endian(array: Array) -> Array:
    """The same values in C order and little-endian bytes, on any machine; 0-d stays 0-d."""
    swapped = array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<") if swapped else None, order="C")


def digest(tree: object) -> str:
    """sha256 of weights: their paths, dtypes, shapes and little-endian bytes, in the order of the paths."""
    total = hashlib.sha256()
    leaves = flatten(tree)
    for name in sorted(leaves):
        array = little_endian(leaves[name])
        total.update(json.dumps([name, array.dtype.name, list(array.shape)]).encode() + b"\n")
        total.update(array.reshape(-1).view(np.uint8).data)
    return f"sha256:{total.hexdigest()}"


def file_digest(path: str | os.PathLike[str]) -> str:
    """sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def unused(directory: str | os.PathLike[str], cases: Iterable[str]) -> list[Path]:
    """Golden files in `directory` that belong to none of `cases`, and what broken writes left, sorted."""
    wanted = {f"{case}{SUFFIX}" for case in cases}
    directory = Path(directory)
    if not directory.is_dir():
        return []
    found = [*directory.glob(f"*{SUFFIX}"), *directory.glob(f".*{SUFFIX}.*.tmp")]
    return sorted({path for path in found if path.name not in wanted})
