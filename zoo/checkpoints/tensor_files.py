"""The Hugging Face layout of a checkpoint: one safetensors file, or several with an index. Read by mapping, written.

A tensor is mapped into memory when it is read and let go afterwards, so that reading needs no memory of its own.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
"""Beside weights that PEFT changes while transformers loads them."""

_DTYPES: dict[str, Any] = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "U32": np.uint32,
    "I32": np.int32, "U64": np.uint64, "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64,
    "BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}

_LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the format."""

_AGAIN = "download or save it again"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the text names the file or the tensors, and what to do."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file: `shape`, `dtype`, and where its `nbytes` begin."""

    name: str
    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    _map: mmap.mmap

    def read(self) -> np.ndarray:
        """The tensor as a read-only view of the file: pages are read when they are looked at."""
        return np.ndarray(self.shape, self.dtype, buffer=self._map, offset=self.offset)

    def drop(self) -> None:
        """Give the memory of its pages back; looking at them again reads the file again."""
        _drop(self._map, self.offset, self.nbytes)


def drop_pages(values: np.ndarray) -> None:
    """As `StoredTensor.drop`, of a part in C order of what `StoredTensor.read` gives; nothing for other arrays."""
    base: Any = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        begin = np.frombuffer(base, np.uint8).ctypes.data
        _drop(base, values.ctypes.data - begin, values.nbytes)


def _drop(mapped: mmap.mmap, offset: int, nbytes: int) -> None:
    # Whole pages only: the first and the last may hold neighbours, which are read again if need be.
    start = offset // mmap.PAGESIZE * mmap.PAGESIZE
    if nbytes and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED, start, offset + nbytes - start)


class TensorFiles(Mapping[str, StoredTensor]):
    """The tensors of a checkpoint by name, in the order of the files; nothing of them is read yet.

    `path` is a safetensors file or a directory in the Hugging Face layout. CheckpointError if a file is missing,
    truncated or not a safetensors file, or the index and the files disagree.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensors: dict[str, StoredTensor] = {}
        files, index = _files(path)
        for file in files:
            for tensor in _read_header(file):
                if tensor.name in self._tensors:
                    raise CheckpointError(
                        f"tensor {tensor.name!r} is in {self._tensors[tensor.name].path.name} and in {file}; {_AGAIN}"
                    )
                self._tensors[tensor.name] = tensor
        if index is not None:
            _check_index(path / INDEX, index, self._tensors)

    def __getitem__(self, name: str) -> StoredTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self._tensors.values())


def shards_of(index: Path) -> dict[str, str]:
    """Tensor -> file beside it, from an index file. CheckpointError if it is not one."""
    try:
        content = json.loads(index.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{index}: not JSON ({error}); {_AGAIN}") from None
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: has no weight_map of tensors to files; {_AGAIN}")
    for name, file in weight_map.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise CheckpointError(
                f"{index}: says that {name!r} is in {file!r}, which is not a file beside it; {_AGAIN}"
            )
    return weight_map


def _files(path: Path) -> tuple[list[Path], dict[str, str] | None]:
    """The safetensors files of a checkpoint, and its index where it has one."""
    if path.is_file():
        return [path], None
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such file or directory; expected a checkpoint")
    if (path / ADAPTER).is_file():
        raise CheckpointError(
            f"{path}: has an adapter ({ADAPTER}), which is not applied here: merge it into the weights and save those"
        )
    if (path / SINGLE).is_file():
        return [path / SINGLE], None
    if (path / INDEX).is_file():
        index = shards_of(path / INDEX)
        files = [path / name for name in sorted(set(index.values()))]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise CheckpointError(f"{path}: of {len(files)} shards, missing {', '.join(missing)}; {_AGAIN}")
        return files, index
    others = sorted(file.name for pattern in ("*.safetensors", "*.bin", "*.pt*") for file in path.glob(pattern))
    found = f"only {', '.join(others)}" if others else "neither"
    hint = "; save PyTorch's with safe_serialization=True" if others and not any(path.glob("*.safetensors")) else ""
    raise CheckpointError(f"{path}: expected {SINGLE} or {INDEX}, found {found}{hint}")


def _check_index(path: Path, index: Mapping[str, str], tensors: Mapping[str, StoredTensor]) -> None:
    wrong = [
        f"{name} (index: {index.get(name, 'nowhere')}, found in: {tensors[name].path.name if name in tensors else '-'})"
        for name in sorted({*index, *tensors})
        if name not in tensors or index.get(name) != tensors[name].path.name
    ]
    if wrong:
        raise CheckpointError(f"{path}: disagrees with the files about {', '.join(wrong)}; {_AGAIN}")


def _read_header(path: Path) -> list[StoredTensor]:
    """The tensors of a safetensors file in the order of their bytes, which must fill it to its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= _LONGEST_HEADER:
            raise CheckpointError(f"{path}: {size} bytes that are not a safetensors file; {_AGAIN}")
        if size < 8 + length:
            raise CheckpointError(f"{path}: truncated within its header ({size} bytes); {_AGAIN}")
        try:
            header = json.loads(file.read(length), object_pairs_hook=_unique)
        except ValueError as error:
            raise CheckpointError(f"{path}: its header is not that of a safetensors file ({error}); {_AGAIN}") from None
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: its header is not that of a safetensors file; {_AGAIN}")
    tensors = [
        _tensor(path, name, entry, 8 + length, mapped) for name, entry in header.items() if name != "__metadata__"
    ]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.nbytes))
    end = 8 + length
    for tensor in tensors:
        if tensor.offset != end:
            raise CheckpointError(f"{path}: the bytes of {tensor.name!r} do not follow the one before; {_AGAIN}")
        end += tensor.nbytes
    if size != end:
        what = "truncated" if size < end else "longer than its header says"
        raise CheckpointError(f"{path}: {what}, {size} bytes of {end}; {_AGAIN}")
    return tensors


def _tensor(path: Path, name: str, entry: Any, start: int, mapped: mmap.mmap) -> StoredTensor:
    try:
        dtype_name, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers_good = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        numbers_good = False
    if not numbers_good:
        raise CheckpointError(f"{path}: the header's entry of {name!r} is wrong; {_AGAIN}")
    if dtype_name not in _DTYPES:
        raise CheckpointError(
            f"{path}: tensor {name!r} has dtype {dtype_name!r}, which is not read; known are {', '.join(_DTYPES)}"
        )
    dtype = np.dtype(_DTYPES[dtype_name]).newbyteorder("<")
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(
            f"{path}: tensor {name!r} of shape {shape} and dtype {dtype_name} has {end - begin} bytes; {_AGAIN}"
        )
    return StoredTensor(name, path, dtype, shape, start + begin, end - begin, mapped)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def save_checkpoint(
    directory: Path,
    tensors: Iterable[tuple[str, np.ndarray]],
    *,
    shards: int = 1,
    config: Mapping[str, Any] | None = None,
    layout: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint as transformers reads it: `shards` files of about equal bytes, and `config` as config.json.

    Tensors are taken one at a time and equal ones give equal bytes. layout: name -> something with the `shape` and
    `dtype` of each tensor, in their order; without it nobody knows what comes, and room on disk is needed for the
    checkpoint twice. ValueError if a tensor comes twice, has a dtype that safetensors lacks or is not as in `layout`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        given = iter(tensors)
        if layout is None:
            spool = stack.enter_context(tempfile.TemporaryFile(dir=directory))
            entries = _spooled(given, spool)
            given = _unspooled(entries, spool)
        else:
            entries = {name: _Entry.of(name, like.dtype, like.shape) for name, like in layout.items()}
        groups = _groups(entries, shards)
        names = [SINGLE] if len(groups) == 1 else [_shard_name(at, len(groups)) for at in range(len(groups))]
        finished = []
        for name, group in zip(names, groups, strict=True):
            temporary = directory / f".{name}.{os.getpid()}.tmp"
            stack.callback(temporary.unlink, missing_ok=True)
            _write_file(temporary, {key: entries[key] for key in group}, given)
            finished.append((temporary, directory / name))
        if (name := next(given, ("", None))[0]) != "":
            raise ValueError(f"{name}: a tensor that the layout does not have")
        for temporary, path in finished:
            temporary.replace(path)
    if len(groups) > 1:
        index = {
            "metadata": {"total_size": sum(entry.nbytes for entry in entries.values())},
            "weight_map": {key: name for name, group in zip(names, groups, strict=True) for key in group},
        }
        (directory / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    (directory / (SINGLE if len(groups) > 1 else INDEX)).unlink(missing_ok=True)  # of a checkpoint that was here before
    if config is not None:
        (directory / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int

    @classmethod
    def of(cls, name: str, dtype: Any, shape: tuple[int, ...]) -> _Entry:
        """ValueError if safetensors has no such dtype."""
        found = np.dtype(dtype).newbyteorder("<")
        if found not in _NAMES:
            raise ValueError(f"{name}: safetensors has no {found}")
        return cls(_NAMES[found], tuple(shape), math.prod(shape) * found.itemsize)


def _bytes(tensor: np.ndarray) -> memoryview:
    """The bytes of a tensor as a file holds them."""
    array = np.asarray(tensor, order="C")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return array.reshape(-1).view(np.uint8).data


def _spooled(tensors: Iterator[tuple[str, np.ndarray]], spool: Any) -> dict[str, _Entry]:
    """The entries of `tensors`, whose bytes are in `spool` in turn."""
    entries: dict[str, _Entry] = {}
    for name, tensor in tensors:
        if name in entries:
            raise ValueError(f"{name}: comes twice")
        entries[name] = _Entry.of(name, np.asarray(tensor).dtype, np.shape(tensor))
        spool.write(_bytes(tensor))
    spool.seek(0)
    return entries


def _unspooled(entries: Mapping[str, _Entry], spool: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name, entry in entries.items():
        yield name, np.fromfile(spool, np.uint8, entry.nbytes).view(_DTYPES[entry.dtype]).reshape(entry.shape)


def _shard_name(at: int, count: int) -> str:
    return f"model-{at + 1:05d}-of-{count:05d}.safetensors"


def _groups(entries: Mapping[str, _Entry], shards: int) -> list[list[str]]:
    """The names in `shards` groups (one each if there are fewer names) of about equal bytes, in order."""
    total = sum(entry.nbytes for entry in entries.values())
    groups: list[list[str]] = [[]]
    done = 0
    for at, (name, entry) in enumerate(entries.items()):
        enough = done * shards >= len(groups) * total or len(entries) - at <= shards - len(groups)
        if groups[-1] and enough and len(groups) < shards:
            groups.append([])
        groups[-1].append(name)
        done += entry.nbytes
    return groups


def _write_file(path: Path, entries: Mapping[str, _Entry], tensors: Iterator[tuple[str, np.ndarray]]) -> None:
    """A safetensors file of the next `tensors`. ValueError if they are not as `entries` say."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers wants to know which framework
    end = 0
    for name, entry in entries.items():
        header[name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [end, end + entry.nbytes]}
        end += entry.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, entry in entries.items():
            found, tensor = next(tensors, ("nothing", np.empty(0)))
            tensor = np.asarray(tensor)
            if found != name or _Entry.of(found, tensor.dtype, tensor.shape) != entry:
                raise ValueError(
                    f"{found}: {tensor.dtype} {tensor.shape}, but the layout has {name}, {entry.dtype} {entry.shape}"
                )
            file.write(_bytes(tensor))
