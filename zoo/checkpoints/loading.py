"""Published weights: the tensors of a checkpoint become parameters as a key map says, one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from tqdm import tqdm

from zoo.checkpoints.key_map import Convert, Holds, KeyMap, Rule, Target, Unused
from zoo.checkpoints.tensor_files import CheckpointError, StoredTensor, TensorFiles, drop_pages, save_checkpoint
from zoo.checkpoints.weights import nested
from zoo.parts.sharding import tree_by_path

if TYPE_CHECKING:
    from zoo.checkpoints.hub import Source

__all__ = [
    "CheckpointError",
    "Convert",
    "Holds",
    "KeyMap",
    "Rule",
    "Target",
    "Unused",
    "convert_tensors",
    "load_checkpoint",
    "save_checkpoint",
]

Leaf = TypeVar("Leaf")

_PIECE = 1 << 24
"""Bytes compared at a time."""

Place: TypeAlias = Callable[[str, np.ndarray, np.dtype[Any]], Leaf]
"""(path of a parameter, its values, perhaps still in the file and in its dtype, the dtype to have) -> what is kept."""


@dataclass(frozen=True, slots=True)
class _Filling:
    """A tensor that fills a parameter, or one part of it."""

    tensor: str
    convert: Convert | None
    part: tuple[int, int, int] | None
    fallback: bool = False
    may_differ: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What fills each parameter, in the order of the file; and the tensors that fill none, whose values are checked."""

    fillings: dict[str, list[_Filling]]
    replaced: list[tuple[str, _Filling, _Filling]]
    """Parameter, the filling of a tensor that fills nothing, and the one that is there in its place."""
    unused: list[tuple[str, Unused]]


def load_checkpoint(
    source: Path | Source, config: Any, keys: KeyMap, shapes: Any, place: Place[Leaf]
) -> dict[str, Any]:
    """Parameters like `shapes` (what jax.eval_shape of the module's init gives), each read, converted and placed.

    source: a safetensors file, a directory in the Hugging Face layout, or a pinned repository of the hub. At most one
    parameter of the file is in memory at a time. CheckpointError if the files, names, shapes or dtypes are wrong.
    """
    if not isinstance(source, Path):
        from zoo.checkpoints.hub import fetch

        source = fetch(source)
    tensors = TensorFiles(source)
    with progress_bar(f"loading {source.name}", tensors.nbytes) as progress:
        return _load(str(source), tensors, config, keys, shapes, place, progress)


def convert_tensors(
    tensors: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]], config: Any, keys: KeyMap, shapes: Any = None
) -> dict[str, Any]:
    """As `load_checkpoint`, from tensors to parameters on the host: views of the tensors where possible.

    Without `shapes` every parameter is taken: only tensors without a rule or with two are errors.
    """
    held = dict(tensors)
    with progress_bar("converting", sum(int(tensor.nbytes) for tensor in held.values())) as progress:
        return _load("tensors", held, config, keys, shapes, on_host, progress)


def progress_bar(what: str, total: int) -> Any:
    """tqdm's bar of `total` bytes on stderr, if that is a terminal: after a second, and wiped at the end."""
    # miniters: the default waits for as many bytes as came before, and the largest parameters come first.
    return tqdm(desc=what, total=total, unit="B", unit_scale=True, delay=1.0, miniters=1, leave=False, disable=None)


def on_host(path: str, values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """The `place` that keeps parameters as NumPy arrays; those of a file stay in the file."""
    return values.astype(dtype, copy=False)


def _load(
    where: str,
    tensors: Mapping[str, StoredTensor] | Mapping[str, np.ndarray],
    config: Any,
    keys: KeyMap,
    shapes: Any,
    place: Place[Leaf],
    progress: Any,
) -> dict[str, Any]:
    expected = None if shapes is None else tree_by_path(shapes)
    plan = _plan(where, tensors, keys, expected)
    _check_unused(where, plan, tensors, config)
    leaves: dict[str, Leaf] = {}

    def size(path: str) -> int:
        return max(int(tensors[filling.tensor].nbytes) for filling in plan.fillings[path])

    # The largest first: the copy that padding makes of one is freed before many others are in memory.
    for path in sorted(plan.fillings, key=size, reverse=True):
        fillings = plan.fillings[path]
        values = _assembled(where, path, fillings, tensors, config, None if expected is None else expected[path])
        leaves[path] = place(path, values, values.dtype if expected is None else np.dtype(expected[path].dtype))
        del values
        for filling in fillings:
            tensor = tensors[filling.tensor]
            if isinstance(tensor, StoredTensor):
                tensor.drop()
            progress.update(tensor.nbytes)
    return nested({path: leaves[path] for path in plan.fillings})


def _assembled(
    where: str, path: str, fillings: list[_Filling], tensors: Mapping[str, Any], config: Any, wanted: Any
) -> np.ndarray:
    """The parameter `path` from the tensors that fill it; `wanted` has its shape and dtype, None takes any."""
    parts = []
    for filling in sorted(fillings, key=lambda filling: filling.part or (0, 1, 0)):
        values = _read(tensors[filling.tensor])
        problem = f"{where}: tensor {filling.tensor!r}, {values.dtype.name} {values.shape},"
        part = _converted(where, path, filling, values, config)
        if wanted is not None:
            name, shape = path, tuple(wanted.shape)
            if filling.part is not None:
                index, count, axis = filling.part
                name = f"part {index + 1} of {count} of {path}"
                shape = tuple(length // count if at == axis else length for at, length in enumerate(shape))
            if part.shape != shape:
                raise CheckpointError(f"{problem} gives {name} as {part.shape}, not {shape}; is it of another size?")
            if not _converts(part.dtype, np.dtype(wanted.dtype)):
                raise CheckpointError(f"{problem} cannot be stored in {path}, which is {np.dtype(wanted.dtype).name}")
        parts.append(part)
    return parts[0] if fillings[0].part is None else np.concatenate(parts, axis=fillings[0].part[2])


def _read(stored: Any) -> np.ndarray:
    return stored.read() if isinstance(stored, StoredTensor) else np.asarray(stored)


def _converted(where: str, path: str, filling: _Filling, values: np.ndarray, config: Any) -> np.ndarray:
    """What `values`, the tensor of `filling`, give for the parameter `path`."""
    try:
        return values if filling.convert is None else np.asarray(filling.convert(values, config))
    except (ValueError, IndexError, TypeError) as error:
        raise CheckpointError(
            f"{where}: tensor {filling.tensor!r}, {values.dtype.name} {values.shape}, cannot become {path}: {error}; "
            "is it of another size?"
        ) from error


def _check_unused(where: str, plan: _Plan, tensors: Mapping[str, Any], config: Any) -> None:
    """CheckpointError that lists the tensors that fill nothing and are not what the model has in their place."""
    wrong: dict[str, str] = {}
    for path, left, used in plan.replaced:
        first, second = (_converted(where, path, one, _read(tensors[one.tensor]), config) for one in (left, used))
        if left.tensor not in wrong and not _equal(first, second):
            wrong[left.tensor] = f"{left.tensor} (the model uses {used.tensor} in its place, and they differ)"
    for name, unused in plan.unused:
        values = _read(tensors[name])
        if unused.holds is not None and not unused.holds(values, config):
            wrong[name] = f"{name} ({values.dtype.name} {values.shape}, not what the model has there: {unused.why})"
        if isinstance(tensors[name], StoredTensor):
            tensors[name].drop()
    if wrong:
        raise CheckpointError(
            f"{where}: holds tensors that the model would not use, though they say something else: "
            f"{', '.join(wrong.values())}; it is of another model, or was not saved whole"
        )


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers. Compares a piece at a time: no more of a file is in memory."""
    if first.shape != second.shape:
        return False
    if not first.ndim or not first.size:
        return bool(np.array_equal(first, second))
    if not first.flags.c_contiguous and first.T.flags.c_contiguous and second.T.flags.c_contiguous:
        first, second = first.T, second.T
    rows = max(1, _PIECE // first[:1].nbytes)
    for start in range(0, len(first), rows):
        pieces = first[start : start + rows], second[start : start + rows]
        same = np.array_equal(*pieces)
        for piece in pieces:
            if piece.flags.c_contiguous:
                drop_pages(piece)
        if not same:
            return False
    return True


def _converts(found: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether numbers of one dtype may be stored as the other: floats of 16 to 64 bits in one another, else the same.

    Floats of 8 bits mean something only together with scales.
    """
    floats = ("float16", "bfloat16", "float32", "float64")
    return found == wanted or (found.name in floats and wanted.name in floats)


def _plan(where: str, tensors: Mapping[str, Any], keys: KeyMap, expected: Mapping[str, Any] | None) -> _Plan:
    """Parameter -> the tensors that fill it, and those that fill none. CheckpointError lists everything wrong."""
    rules = [(re.compile(rule.pattern), rule) for rule in keys.rules]
    patterns = [(re.compile(unused.pattern), unused) for unused in keys.unused]
    candidates: dict[str, list[_Filling]] = {}
    left_out: list[tuple[str, Unused]] = []
    unmatched, doubly, unknown = [], [], []
    for name in tensors:
        hits = [(match, rule) for regex, rule in rules if (match := regex.fullmatch(name))]
        if not hits:
            reasons = [unused for regex, unused in patterns if regex.fullmatch(name)]
            left_out += [(name, unused) for unused in reasons]
            if not reasons:
                unmatched.append(name)
            continue
        if len(hits) > 1:
            doubly.append(f"{name} (by {' and '.join(repr(rule.pattern) for _, rule in hits)})")
            continue
        ((match, rule),) = hits
        for target in rule.target if isinstance(rule.target, tuple) else (Target(rule.target, rule.convert),):
            path = target.path.format(*match.groups())
            if expected is not None and path not in expected:
                unknown.append(f"{name} (for {path})")
            else:
                candidates.setdefault(path, []).append(
                    _Filling(name, target.convert, rule.part, target.fallback, target.may_differ)
                )
    plan = {path: [filling for filling in found if not filling.fallback] or found for path, found in candidates.items()}
    lacking = [path for path in expected or () if path not in plan]
    begun = {_module(path) for path in plan if lacking and _is_optional(path, keys)}
    unfilled = [path for path in lacking if _module(path) in begun or not _is_optional(path, keys)]
    for path, fillings in plan.items():
        parts = [filling.part for filling in fillings]
        counts = {None if part is None else part[1:] for part in parts}
        if len(set(parts)) < len(parts) or len(counts) > 1:
            doubly.append(f"{path} (from {' and '.join(filling.tensor for filling in fillings)})")
        elif parts[0] is not None:
            have = {part[0] for part in parts if part is not None}
            absent = [str(index + 1) for index in range(parts[0][1]) if index not in have]
            if absent:
                unfilled.append(f"{path} (part {', '.join(absent)} of {parts[0][1]})")
    problems = {
        "tensors that no rule matches": unmatched,
        "tensors for parameters that the model does not have": unknown,
        "matched or filled twice": doubly,
        "parameters that no tensor fills": unfilled,
    }
    if any(problems.values()):
        lines = [f"  {what}: {', '.join(sorted(names))}" for what, names in problems.items() if names]
        raise CheckpointError("\n".join([f"{where}: does not hold what the model needs", *lines]))
    filling = {found.tensor for fillings in plan.values() for found in fillings}
    replaced = [
        (path, left, plan[path][0])
        for path, found in candidates.items()
        for left in found
        if left.tensor not in filling and not left.may_differ
    ]
    return _Plan(plan, replaced, left_out)


def _module(path: str) -> str:
    return path.rpartition("/")[0]


def _is_optional(path: str, keys: KeyMap) -> bool:
    """Whether an optional rule has `path` for a target, whatever its groups matched."""
    return any(
        re.fullmatch(re.sub(r"\\\{\d+\\\}", ".*", re.escape(target)), path)
        for rule in keys.rules
        if rule.optional
        for target in ([rule.target] if isinstance(rule.target, str) else [target.path for target in rule.target])
    )
