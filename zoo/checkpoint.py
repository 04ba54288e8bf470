"""Published weights: which tensor of a checkpoint becomes which parameter, and loading them one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from zoo.progress import Progress
from zoo.tensor_files import CheckpointError, StoredTensor, TensorFiles, save_checkpoint
from zoo.weights import nested

if TYPE_CHECKING:
    from zoo.hub import Source

__all__ = [
    "CheckpointError",
    "Convert",
    "KeyMap",
    "Rule",
    "Target",
    "convert_tensors",
    "load_checkpoint",
    "save_checkpoint",
]

Leaf = TypeVar("Leaf")

Convert: TypeAlias = Callable[[np.ndarray, Any], np.ndarray]
"""(tensor of the checkpoint, config) -> the parameter, or its part. A view where it can be: nothing is copied then."""

Place: TypeAlias = Callable[[str, np.ndarray, np.dtype[Any]], Leaf]
"""(path of a parameter, values perhaps still in the file and in its dtype, dtype it shall have) -> what is kept."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parameter that a tensor fills: `path` as in `Rule`, and what is made of the tensor for it."""

    path: str
    convert: Convert | None = None
    fallback: bool = False
    """Only where no other tensor fills the parameter: weights that are tied unless the checkpoint has them apart."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the tensors whose whole name matches `pattern`.

    `target` is the path of the parameter, ``params/h_{0}/attn/q/kernel``, with the groups of the match for ``{0}``,
    ``{1}`` …; or several `Target`, where one tensor fills several parameters (a fused q, k and v): then each converts
    for itself. `part` ``(index, count, axis)``: it fills only that one of `count` equal slices along `axis` of the
    parameter, and other rules the rest; the conversion gives the slice. `optional`: a checkpoint may lack it, and then
    the parameter is left out of the result; of one module, all optional ones or none.
    """

    pattern: str
    target: str | tuple[Target, ...]
    convert: Convert | None = None
    part: tuple[int, int, int] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class KeyMap:
    """Which tensor of a checkpoint becomes which parameter, and which ones are none (whole-name patterns)."""

    rules: tuple[Rule, ...]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Filling:
    """A tensor that fills a parameter, or one part of it."""

    tensor: str
    convert: Convert | None
    part: tuple[int, int, int] | None
    fallback: bool = False


def load_checkpoint(
    source: Path | Source, config: Any, keys: KeyMap, shapes: Any, place: Place[Leaf]
) -> dict[str, Any]:
    """Parameters like `shapes` (what jax.eval_shape of the module's init gives), each read, converted and placed.

    source: a safetensors file, a directory in the Hugging Face layout, or a pinned repository of the hub. Of the file
    at most one parameter at a time is in memory. CheckpointError if the files, names, shapes or dtypes are wrong.
    """
    if not isinstance(source, Path):
        from zoo.hub import fetch

        source = fetch(source)
    tensors = TensorFiles(source)
    with Progress(f"loading {source.name}", tensors.nbytes) as progress:
        return _load(str(source), tensors, config, keys, shapes, place, progress)


def convert_tensors(
    tensors: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]], config: Any, keys: KeyMap, shapes: Any = None
) -> dict[str, Any]:
    """As `load_checkpoint`, from tensors on the host to parameters on the host: views of the tensors where that can be.

    Without `shapes` parameters are taken as they come: only tensors without a rule or with two are errors.
    """
    with Progress("converting", 0) as progress:
        return _load("tensors", dict(tensors), config, keys, shapes, on_host, progress)


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
    progress: Progress,
) -> dict[str, Any]:
    expected = None if shapes is None else _flatten_shapes(shapes)
    plan = _plan(where, tensors, keys, expected)
    leaves: dict[str, Leaf] = {}

    def size(path: str) -> int:
        return max(int(tensors[filling.tensor].nbytes) for filling in plan[path])

    # The largest first: what padding copies one for is gone again before there are many.
    for path in sorted(plan, key=size, reverse=True):
        fillings = plan[path]
        values = _assembled(where, path, fillings, tensors, config, None if expected is None else expected[path])
        leaves[path] = place(path, values, values.dtype if expected is None else np.dtype(expected[path].dtype))
        del values
        for filling in fillings:
            tensor = tensors[filling.tensor]
            if isinstance(tensor, StoredTensor):
                tensor.drop()
            progress.advance(tensor.nbytes)
    return nested({path: leaves[path] for path in plan})


def _assembled(
    where: str, path: str, fillings: list[_Filling], tensors: Mapping[str, Any], config: Any, wanted: Any
) -> np.ndarray:
    """The parameter `path` from the tensors that fill it; `wanted` has its shape and dtype, None takes any."""
    parts = []
    for filling in sorted(fillings, key=lambda filling: filling.part or (0, 1, 0)):
        stored = tensors[filling.tensor]
        values = stored.read() if isinstance(stored, StoredTensor) else np.asarray(stored)
        problem = f"{where}: tensor {filling.tensor!r}, {values.dtype.name} {values.shape},"
        try:
            part = values if filling.convert is None else np.asarray(filling.convert(values, config))
        except (ValueError, IndexError, TypeError) as error:
            raise CheckpointError(f"{problem} cannot become {path}: {error}; is it of another size?") from error
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


def _converts(found: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether numbers of one dtype may be stored as the other: floats of 16 to 64 bits in one another, else the same.

    Floats of 8 bits mean something only together with scales.
    """
    floats = ("float16", "bfloat16", "float32", "float64")
    return found == wanted or (found.name in floats and wanted.name in floats)


def _flatten_shapes(shapes: Any) -> dict[str, Any]:
    """Path -> the leaf with `shape` and `dtype`."""
    found: dict[str, Any] = {}

    def walk(prefix: str, node: Any) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                walk(f"{prefix}/{key}" if prefix else str(key), value)
        else:
            found[prefix] = node

    walk("", shapes)
    return found


def _plan(
    where: str, tensors: Mapping[str, Any], keys: KeyMap, expected: Mapping[str, Any] | None
) -> dict[str, list[_Filling]]:
    """Parameter -> the tensors that fill it, in the order of the file. CheckpointError lists everything wrong."""
    rules = [(re.compile(rule.pattern), rule) for rule in keys.rules]
    ignored = [re.compile(pattern) for pattern in keys.ignored]
    plan: dict[str, list[_Filling]] = {}
    unmatched, doubly, unknown = [], [], []
    for name in tensors:
        hits = [(match, rule) for regex, rule in rules if (match := regex.fullmatch(name))]
        if not hits:
            if not any(regex.fullmatch(name) for regex in ignored):
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
                plan.setdefault(path, []).append(_Filling(name, target.convert, rule.part, target.fallback))
    plan = {path: [filling for filling in found if not filling.fallback] or found for path, found in plan.items()}
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
    return plan


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
