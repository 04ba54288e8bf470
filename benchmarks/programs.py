"""Small JAX programs: a function, the shapes of its arguments, and how both are spread over chips."""

from __future__ import annotations

import inspect
import math
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYSTEMS = {1: "n150", 2: "n300", 4: "t3k", 8: "t3k"}
"""The system by the number of chips of a program's mesh."""
MOST_CHIPS = max(SYSTEMS)


@dataclass(frozen=True, slots=True)
class Argument:
    """Shape and dtype of an argument. spec: the mesh axis of each dimension, as in PartitionSpec; empty: replicated."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    spec: tuple[Any, ...] = ()

    def spread(self, *spec: Any) -> Argument:
        """This argument with its dimensions on those mesh axes."""
        return Argument(self.shape, self.dtype, spec)

    def __str__(self) -> str:
        spec = f" on {_spec(self.spec)}" if self.spec else ""
        return f"{self.dtype}[{','.join(map(str, self.shape))}]{spec}"


def f32(*shape: int) -> Argument:
    """A float32 argument."""
    return Argument(shape)


def bf16(*shape: int) -> Argument:
    """A bfloat16 argument."""
    return Argument(shape, "bfloat16")


def i32(*shape: int) -> Argument:
    """An int32 argument."""
    return Argument(shape, "int32")


@dataclass(frozen=True, slots=True)
class Program:
    """A program of one function.

    mesh, axes: its chips, ``"2x4"``, and the names of the mesh's axes. out: the mesh axes of the output's dimensions,
    as in PartitionSpec; None leaves them to the compiler. manual: `function` sees the part of one chip, under
    `jax.shard_map`. placed: arguments come with their shardings; otherwise `function` alone says them.
    partitioner: jax's older one is ``gspmd``. x64: 64-bit types are what they say.
    A parameter of `function` called ``mesh`` gets the mesh.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    mesh: str = "1x1"
    axes: tuple[str, ...] = ("batch", "model")
    out: Any = None
    manual: bool = False
    placed: bool = True
    partitioner: str = "shardy"
    x64: bool = False

    @property
    def mesh_shape(self) -> tuple[int, ...]:
        """Chips along each axis of the mesh."""
        return tuple(map(int, self.mesh.split("x")))

    @property
    def system(self) -> str:
        """The smallest system of `SYSTEMS` with chips for the mesh."""
        return SYSTEMS[math.prod(self.mesh_shape)]

    def on(self, devices: list[jax.Device]) -> Mesh:
        """The mesh, of the first of `devices`, which are at least as many as it has chips."""
        chips = math.prod(self.mesh_shape)
        return Mesh(np.array(devices[:chips]).reshape(self.mesh_shape), self.axes)

    def lowerable(self, devices: list[jax.Device]) -> tuple[Any, list[jax.ShapeDtypeStruct]]:
        """The jitted function and its arguments as shapes; `devices` are at least as many as the mesh has chips."""
        mesh = self.on(devices)
        placed = [NamedSharding(mesh, PartitionSpec(*argument.spec)) for argument in self.arguments]
        shapes = [
            jax.ShapeDtypeStruct(argument.shape, jnp.dtype(argument.dtype), sharding=sharding if self.placed else None)
            for argument, sharding in zip(self.arguments, placed, strict=True)
        ]
        function = self.function
        if "mesh" in inspect.signature(function).parameters:
            function = partial(function, mesh=mesh)
        if self.manual:
            specs = tuple(sharding.spec for sharding in placed)
            out = PartitionSpec(*self.out)
            return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)), shapes
        if self.out is None:
            return jax.jit(function), shapes
        return jax.jit(function, out_shardings=NamedSharding(mesh, PartitionSpec(*self.out))), shapes

    @contextmanager
    def settings(self) -> Iterator[None]:
        """jax's settings that the program needs, while it is traced and lowered."""
        wanted = {"jax_enable_x64": self.x64, "jax_use_shardy_partitioner": self.partitioner == "shardy"}
        before = {name: getattr(jax.config, name) for name in wanted}
        for name, value in wanted.items():
            jax.config.update(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                jax.config.update(name, value)


def _spec(spec: tuple[Any, ...]) -> str:
    """``(batch, -, model)``."""
    parts = ("-" if axis is None else "+".join(axis) if isinstance(axis, tuple) else axis for axis in spec)
    return f"({', '.join(parts)})"
