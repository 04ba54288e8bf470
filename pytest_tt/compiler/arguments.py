"""Arguments of a function for the chips: which are static, and how the others are placed on a mesh."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from pytest_tt.compiler.memory import memory_for
from pytest_tt.targets import jax_private
from pytest_tt.tt_compiler.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jax.sharding import Mesh

    from pytest_tt.tt_compiler.weights import Chosen


class Arguments:
    """How the arguments of `function` are placed on `mesh`, according to jax.jit's keywords in `options`."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any], mesh: Mesh) -> None:
        self._name = getattr(function, "__name__", type(function).__name__)
        self._in_shardings = options.get("in_shardings")
        self._positional = _positional(function)
        self._static_nums, self._static_names = _static(self._positional, options)
        self._replicated = NamedSharding(mesh, PartitionSpec())
        self._client = mesh.devices.flat[0].client

    def dynamic(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that are not static: those that the compiled program takes."""
        static = self._static(args)
        return (
            [arg for index, arg in enumerate(args) if index not in static],
            {name: value for name, value in kwargs.items() if name not in self._static_names},
        )

    def static(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[int | str, Any]]:
        """The static arguments with their positions and names."""
        positions = self._static(args)
        return [
            *((index, arg) for index, arg in enumerate(args) if index in positions),
            *((name, kwargs[name]) for name in sorted(kwargs) if name in self._static_names),
        ]

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments that are not static, by their names in the function's signature."""
        static = self._static(args)
        named = {self._name_of(index): arg for index, arg in enumerate(args) if index not in static}
        return named | self.dynamic((), kwargs)[1]

    def weights(self, chosen: Chosen, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[int, str] | None:
        """The leaves of the arguments `chosen` for weights: number, without static ones, to path; None for the usual.

        Raises ValueError for a choice that is not an argument of the call, or is static.
        """
        if chosen is None:
            return None
        positions = [index for index in range(len(args)) if index not in self._static(args)]
        dynamic, named = self.dynamic(args, kwargs)
        every = [self._name_of(index) for index in range(len(args))]
        wanted = [
            every[one] if isinstance(one, int) and -len(args) <= one < len(args) else one
            for one in ((chosen,) if isinstance(chosen, int | str) else chosen)
        ]
        return weights_of(dynamic, named, wanted, [every[index] for index in positions])

    def _name_of(self, index: int) -> str:
        return self._positional[index] if index < len(self._positional) else f"argument {index}"

    def place(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Place the arguments that are not on chips yet; a jax.ShapeDtypeStruct gets the sharding it would have.

        Raises ValueError for an array that is committed to other devices than the chips.
        """
        __tracebackhide__ = True
        return self._map(self._place_leaf, args, kwargs)

    def shapes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Like `place`, but nothing is placed: an array becomes a jax.ShapeDtypeStruct with the sharding it would have.

        Raises ValueError as `place`.
        """
        __tracebackhide__ = True
        return self._map(self._shape_leaf, args, kwargs)

    def place_traced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Like `place`, inside a function that jax transforms (grad, vmap …) or traces.

        If a transformation computes at once, its arguments must be placed, or it would not run on the chips. While jax
        only traces, nothing is placed. jax applies the `in_shardings`, because a batched array has other dimensions
        than the function's argument.
        """
        __tracebackhide__ = True
        at_once = jax_private.computes_at_once()
        return self._map(self._place_leaf_at_once if at_once else self._check_leaf, args, kwargs)

    def _static(self, args: tuple[Any, ...]) -> frozenset[int]:
        """Positions of static arguments in a call; as in jax, negative ones count from the end."""
        return frozenset(num + len(args) if num < 0 else num for num in self._static_nums)

    def _map(
        self, place: Callable[[Any, Sharding | None], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with `place(leaf, its in_sharding or None)` applied to each leaf that is not static."""
        __tracebackhide__ = True
        dynamic, _ = self.dynamic(args, kwargs)
        wanted: Any = self._in_shardings
        if isinstance(wanted, list | tuple):  # one entry per argument; a single sharding applies to all
            if len(wanted) != len(dynamic):
                raise ValueError(
                    f"in_shardings of {self._name} holds {len(wanted)} entries, but the call has {len(dynamic)} "
                    "positional arguments"
                )
            placed = [_map_tree(place, arg, sharding) for arg, sharding in zip(dynamic, wanted, strict=True)]
        else:
            placed = [_map_tree(place, arg, wanted) for arg in dynamic]
        remaining = iter(placed)
        static = self._static(args)
        new_args = tuple(arg if index in static else next(remaining) for index, arg in enumerate(args))
        new_kwargs = {
            name: value if name in self._static_names else _map_tree(place, value, None)
            for name, value in kwargs.items()
        }
        return new_args, new_kwargs

    def _place_leaf(self, leaf: Any, sharding: Any) -> Any:
        __tracebackhide__ = True
        if isinstance(leaf, jax.Array) and leaf.committed:
            if leaf.is_deleted():  # calling jax 0.10 with it aborts the process
                raise RuntimeError(f"Array has been deleted with shape={leaf.aval.str_short()}.")
            self._check_client(leaf)
            return leaf
        target = self._replicated if sharding is None else sharding
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf if leaf.sharding is not None else leaf.update(sharding=target)
        try:
            with memory_for(f"on the chips for an argument of {self._name}", leaf):
                return jax.device_put(leaf, target)
        except (TypeError, OverflowError):
            return leaf  # jax.jit raises the error that names the argument

    def _shape_leaf(self, leaf: Any, sharding: Any) -> Any:
        __tracebackhide__ = True
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return self._place_leaf(leaf, sharding)
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
            return leaf  # a Python number, which jax gives its type
        self._check_leaf(leaf, sharding)
        if isinstance(leaf, jax.Array) and leaf.committed:
            sharding = leaf.sharding
        dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
        return jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=self._replicated if sharding is None else sharding)

    def _place_leaf_at_once(self, leaf: Any, sharding: Any) -> Any:
        __tracebackhide__ = True
        value = jax_private.value_behind(leaf)
        self._check_leaf(value, sharding)
        if sharding is not None or (isinstance(value, jax.Array) and value.committed):
            return leaf
        return jax.device_put(leaf, self._replicated)

    def _check_leaf(self, leaf: Any, sharding: Any) -> Any:
        __tracebackhide__ = True
        if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) and leaf.committed:
            self._check_client(leaf)
        return leaf

    def _check_client(self, array: jax.Array) -> None:
        __tracebackhide__ = True
        device = next(iter(array.devices()))
        if device.client is not self._client:
            raise ValueError(
                f"an argument of shape {array.shape} is committed to {device}, which is not a chip of this run: place "
                "it with jax.device_put(x, NamedSharding(tt_mesh, PartitionSpec(...))), or pass it as a NumPy array"
            )


def bind(shardings: Any, mesh: Mesh) -> Any:
    """Turn every PartitionSpec in a tree of shardings into a NamedSharding on `mesh`."""
    return jax.tree.map(
        lambda node: NamedSharding(mesh, node) if isinstance(node, PartitionSpec) else node,
        shardings,
        is_leaf=lambda node: node is None or isinstance(node, PartitionSpec | Sharding),
    )


def _map_tree(place: Callable[[Any, Sharding | None], Any], tree: Any, shardings: Any) -> Any:
    """`place(leaf, sharding)` for each leaf of `tree`; `shardings` is a prefix of it."""
    __tracebackhide__ = True

    def below(sharding: Sharding | None, subtree: Any) -> Any:
        __tracebackhide__ = True
        return jax.tree.map(lambda leaf: place(leaf, sharding), subtree)

    return jax.tree.map(below, shardings, tree, is_leaf=lambda node: node is None or isinstance(node, Sharding))


def _positional(function: Callable[..., Any]) -> list[str]:
    """Names of the positional parameters of `function`; empty without a signature."""
    try:
        return [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return []


def _static(parameters: list[str], options: Mapping[str, Any]) -> tuple[frozenset[int], frozenset[str]]:
    """Positions and names of static arguments; as in jax, the signature gives one from the other."""
    given_nums, given_names = options.get("static_argnums"), options.get("static_argnames")
    nums, names = set(_as_tuple(given_nums)), set(_as_tuple(given_names))
    if given_names is None:
        names = {parameters[num] for num in nums if -len(parameters) <= num < len(parameters)}
    elif given_nums is None:
        nums = {index for index, name in enumerate(parameters) if name in names}
    return frozenset(nums), frozenset(names)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int | np.integer) else tuple(value)
