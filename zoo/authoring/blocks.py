"""What the modules of a model give, ours and the reference's, and which is the first that differs.

Ours are watched by Flax's interceptors of methods, the reference's by PyTorch's forward hooks. Both have the same
made-up checkpoint. Needs torch, imported inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.compare import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_tt.compare import Comparison


class BlocksError(ValueError):
    """Blocks that cannot be compared; the text names the module, what was expected, and what there is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first module whose outputs differ."""

    ours: str
    theirs: str
    kind: str
    """Class of the reference's module."""
    place: int
    """How many were compared before it and agree."""
    comparison: Comparison | None
    """None where the shapes do not fit; `problem` says which they are."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """All modules agree."""

    count: int
    worst: str
    rel_l2: float


def run_ours(module: Any, forward: Callable[..., Any], params: Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """First output of every module that ``forward(params, inputs)`` calls, by path, in the order that they finish.

    Runs on the host and unjitted. Of a module that is called twice, what it gave first.
    """
    import jax
    from flax import linen as nn

    found: dict[str, np.ndarray] = {}

    def watch(function: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        result = function(*args, **kwargs)
        path = "/".join(context.module.path)
        if context.method_name == "__call__" and path and path not in found:
            array = _first_array(result, jax.Array)
            if array is not None:
                found[path] = np.asarray(array)
        return result

    with jax.default_device(jax.devices("cpu")[0]), nn.intercept_methods(watch):
        forward(module)(params, dict(inputs))
    return found


def run_theirs(model: Any, names: Iterable[str], inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """First output of the modules `names` of a PyTorch model, by name. BlocksError that lists names it does not have.

    `inputs` as the zoo has them: whole numbers become int64, images [batch, height, width, channels] channels first.
    """
    import torch

    modules = dict(model.named_modules())
    unknown = sorted(set(names) - set(modules))
    if unknown:
        from pytest_tt.text import nearest

        raise BlocksError(
            f"{type(model).__name__} has no module {', '.join(name + nearest(name, modules) for name in unknown)}"
        )
    found: dict[str, np.ndarray] = {}

    def watcher(name: str) -> Callable[..., None]:
        def watch(module: Any, args: Any, result: Any) -> None:
            array = _first_array(result, torch.Tensor)
            if array is not None and name not in found:
                found[name] = array.detach().float().numpy().copy()

        return watch

    hooks = [modules[name].register_forward_hook(watcher(name)) for name in names]
    try:
        with torch.inference_mode():
            model(**{name: _tensor(name, value) for name, value in inputs.items()})
    finally:
        for hook in hooks:
            hook.remove()
    return found


def first_difference(
    pairs: Mapping[str, str],
    ours: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
    kinds: Mapping[str, str],
    mask: np.ndarray | None,
) -> Difference | Agreement:
    """Compare what the modules of `pairs` (ours to theirs) gave, in the order of `ours`, by the bounds of float32.

    `kinds` are the classes of the reference's modules. `mask` [batch, tokens]: outputs that begin with these axes are
    compared where it is not 0, for what stands in padding means nothing. BlocksError for pairs of which nothing was
    seen.
    """
    unseen = [path for path in pairs if path not in ours]
    if unseen:
        from pytest_tt.text import nearest

        there = ", ".join(path + nearest(path, ours) for path in unseen)
        raise BlocksError(f"`blocks` names modules of ours that are not called: {there}")
    idle = [name for name in pairs.values() if name not in theirs]
    if idle:
        raise BlocksError(f"`blocks` names modules of the reference that give no tensor: {', '.join(idle)}")
    worst, largest, place = "", 0.0, 0
    for path in (path for path in ours if path in pairs):
        name = pairs[path]
        actual = ours[path]
        if mask is not None and theirs[name].shape[:2] == mask.shape:
            if actual.shape[:2] == (1, mask.size):
                actual = actual[0]
            if len(actual) == mask.size:  # the tokens of all sentences, as rows or in one row
                actual = actual.reshape(*mask.shape, *actual.shape[1:])
        expected = _laid_out_as(actual.shape, theirs[name])
        if expected is None:
            problem = f"ours has shape {ours[path].shape}, the reference's {theirs[name].shape}"
            return Difference(path, name, kinds.get(name, ""), place, None, problem)
        if mask is not None and actual.shape[:2] == mask.shape:
            actual, expected = actual[mask != 0], expected[mask != 0]
        comparison = compare({path: actual}, {path: expected})
        if not comparison.passed:
            return Difference(path, name, kinds.get(name, ""), place, comparison)
        distance = comparison.metrics()["rel_l2"]
        if isinstance(distance, float) and distance >= largest:
            worst, largest = path, distance
        place += 1
    return Agreement(place, worst, largest)


def kinds_of(model: Any) -> dict[str, str]:
    """Class of each module of a PyTorch model, by name."""
    return {name: f"{type(module).__module__}.{type(module).__qualname__}" for name, module in model.named_modules()}


def _first_array(result: Any, kind: type) -> Any:
    """`result` if it is an array of `kind`, else the first one in it; None if it has none."""
    if isinstance(result, kind):
        return result
    values: Iterable[Any] = ()
    if hasattr(result, "values"):
        values = result.values()
    elif isinstance(result, list | tuple):
        values = result
    return next((found for value in values if (found := _first_array(value, kind)) is not None), None)


def _laid_out_as(shape: tuple[int, ...], array: np.ndarray) -> np.ndarray | None:
    """`array` of PyTorch's layout in ours: channels last, heads as an axis of their own. None where it is another size.

    An image whose sides all equal its channels cannot be told from one that is laid out like ours: it is taken as
    PyTorch has it.
    """
    if array.ndim == len(shape) == 4:
        last = array.transpose(0, 2, 3, 1)
        if last.shape == shape:
            return last
    if array.shape == shape:
        return array
    if array.ndim == len(shape) + 1 and (array.shape[0] * array.shape[1], *array.shape[2:]) == shape:
        return array.reshape(shape)  # rows of ours are the tokens of all images
    if array.ndim >= 2 and array.size == np.prod(shape) and array.shape[:2] == shape[:2]:
        return array.reshape(shape)
    return None


def _tensor(name: str, value: np.ndarray) -> Any:
    import torch

    if name == "pixel_values" and value.ndim == 4:
        value = np.ascontiguousarray(value.transpose(0, 3, 1, 2))
    return torch.from_numpy(value.astype(np.float32 if np.issubdtype(value.dtype, np.floating) else np.int64))
