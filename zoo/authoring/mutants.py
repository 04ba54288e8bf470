"""Mutants: known ways for a model to be wrong, each of which a golden or the contract must catch.

The field `mutants` of a model's description gives its `Mutants`; `python -m zoo mutants` tries them. The functions
here make those that many models have.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from unittest import mock

import numpy as np

from zoo.checkpoints.weights import nested
from zoo.parts.sharding import tree_by_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType

    from jax.sharding import PartitionSpec

    from zoo.parts.sharding import Sharding

Leaves: TypeAlias = dict[str, np.ndarray]
"""Parameters by path, ``params/h_0/attn/q/kernel``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One way to be wrong; what is None stays right.

    params: of the parameters. config: of the config that the module is built from. inputs: of the golden's inputs.
    patch: gives a context within which the model's code is wrong while it is traced (``mock.patch.object``,
    ``nn.intercept_methods``).
    case: the golden case that it is tried on; None: that of `Mutants`.
    variants, sharding: of the description. Outputs do not show them, so the contract must object, not a golden.
    """

    params: Callable[[Leaves], Leaves] | None = None
    config: Callable[[Any], Any] | None = None
    inputs: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    patch: Callable[[], AbstractContextManager[Any]] | None = None
    case: str | None = None
    variants: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    sharding: Callable[[Sharding], Sharding] | None = None

    @property
    def of_description(self) -> bool:
        """Whether the contract must object to it, not a golden."""
        return self.variants is not None or self.sharding is not None

    @property
    def keeps_program(self) -> bool:
        """Whether only values are wrong, so that the program is that of the right model."""
        return self.config is None and self.patch is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutants:
    """The known mutants of a model. What no output and no part of the contract can show is not one of them."""

    case: str
    """The golden case that they are tried on where a mutant names no other."""
    by_name: Mapping[str, Mutant]
    """By what is wrong, in a few words."""
    within_hw_bounds: Collection[str] | None = None
    """Names of those that move outputs by less than bfloat16 arithmetic may: simulated chips compute in float32 and
    must catch these too. None: not known."""


def meaning(modules: Sequence[ModuleType], **names: Any) -> Mutant:
    """A mutant of code: `names` mean something else in each of `modules` that has them. ValueError if none has one."""
    missing = [name for name in names if not any(hasattr(module, name) for module in modules)]
    if missing:
        raise ValueError(f"{', '.join(missing)}: no name of {', '.join(module.__name__ for module in modules)}")

    @contextmanager
    def patch() -> Iterator[None]:
        with ExitStack() as stack:
            for module in modules:
                for name, value in names.items():
                    if hasattr(module, name):
                        stack.enter_context(mock.patch.object(module, name, value))
            yield

    return Mutant(patch=patch)


def changed(ending: str, change: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    """A mutant of every parameter whose path ends so: ``query/bias``."""

    def params(leaves: Leaves) -> Leaves:
        assert any(path.endswith(ending) for path in leaves), ending
        return {path: change(leaf) if path.endswith(ending) else leaf for path, leaf in leaves.items()}

    return Mutant(params=params)


def swapped(one: str, other: str) -> Mutant:
    """Two modules that are side by side, ``attn/query`` and ``attn/key``, with each other's parameters."""

    def params(leaves: Leaves) -> Leaves:
        parts = {f"/{one}/": f"/{other}/", f"/{other}/": f"/{one}/"}

        def renamed(path: str) -> str:
            name = next((path.replace(old, new) for old, new in parts.items() if old in path), path)
            return name if name in leaves else path

        names = {path: renamed(path) for path in leaves}
        assert any(path != name for path, name in names.items()), (one, other)
        return {names[path]: leaf for path, leaf in leaves.items()}

    return Mutant(params=params)


def moved(rows: int, *, axis: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """What is at 0 of an axis is at `rows`."""
    return partial(np.roll, shift=rows, axis=axis)


def other_table(module: str, change: Callable[[Any], Any]) -> Mutant:
    """A mutant of a head tied to the embedding: the table, traced, that the module of this name is called with."""

    def method(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.module.name == module and context.method_name == "__call__":
            x, table = args
            args = (x, change(table))
        return call(*args, **kwargs)

    def patch() -> AbstractContextManager[Any]:
        from flax import linen as nn

        return nn.intercept_methods(method)

    return Mutant(patch=patch)


def heads_mixed(kernel: np.ndarray) -> np.ndarray:
    """[hidden, head, head_dim] read as [hidden, head_dim, head]."""
    hidden, heads, size = kernel.shape
    return kernel.reshape(hidden, size, heads).transpose(0, 2, 1)


def epsilon_of(norm: str, value: float) -> Mutant:
    """Another epsilon in one normalisation alone: that of the module at the path `norm`, ``layer_0/norm``."""

    def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "__call__" and "/".join(context.module.path) == norm:
            object.__setattr__(context.module, "epsilon", value)  # linen forbids it of a module that is being called
        return call(*args, **kwargs)

    def patch() -> AbstractContextManager[Any]:
        from flax import linen as nn

        return nn.intercept_methods(intercept)

    return Mutant(patch=patch)


def registered(variant: str, **fields: Any) -> Mutant:
    """A variant whose config is not what is published."""

    def variants(right: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**right, variant: replace(right[variant], **fields)}

    return Mutant(variants=variants)


def lying(kind: Literal["param_specs", "input_specs", "output_specs"], ending: str, spec: PartitionSpec) -> Mutant:
    """Arrays whose name ends so, spread by another `spec`."""

    def sharding(right: Sharding) -> Sharding:
        def specs(fitted: Any, mesh: Any) -> Any:
            found = tree_by_path(getattr(right, kind)(fitted, mesh))
            assert any(name.endswith(ending) for name in found), ending
            return nested({name: spec if name.endswith(ending) else old for name, old in found.items()})

        fields: dict[str, Any] = {kind: specs}
        return replace(right, **fields)

    return Mutant(sharding=sharding)
