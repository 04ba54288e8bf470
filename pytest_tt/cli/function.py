"""A function of a Python file as a command line names it, ``model.py:forward``, and its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.cli.command import UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jax.sharding import Mesh

    from pytest_tt.cli.shape import ArgumentShape


def parsed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """`parse` for argparse, which shows only the text of ArgumentTypeError."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def place(text: str) -> tuple[Path, str]:
    """File and name of ``FILE.py:FUNCTION``, for argparse."""
    file, colon, function = text.rpartition(":")
    if not colon or not file or not function.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}: expected FILE.py:FUNCTION, e.g. model.py:forward")
    return Path(file), function


def function_of(
    path: Path, name: str, mesh: Mesh, shapes: Sequence[ArgumentShape]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function and its arguments. Raises UnusableError for a file or a function that cannot be used."""
    found = getattr(_module(path), name, None)
    if not callable(found):
        raise UnusableError(f"{path}:{name}: the file has no function {name}")
    if shapes:
        return found, tuple(_argument(shape, mesh) for shape in shapes)
    names = _parameters(found)
    if names not in ([], ["mesh"]):
        raise UnusableError(
            f"{path}:{name}: takes {', '.join(names)}: give their shapes, e.g. f32[8,128]:batch,None, or name "
            "a function without parameters (or with mesh alone) that returns (function, *arguments)"
        )
    given = found(mesh) if names else found()
    if not isinstance(given, tuple) or not given or not callable(given[0]):
        raise UnusableError(f"{path}:{name}: returns no (function, *arguments): expected a tuple that begins with one")
    return given[0], given[1:]


def _module(path: Path) -> Any:
    import importlib.util
    import sys

    # No module of that name is hidden by it.
    name = f"_compiled_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UnusableError(f"{path}: cannot be read: expected a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Parameters without defaults."""
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ["arguments"]
    return [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _argument(shape: ArgumentShape, mesh: Mesh) -> Any:
    """The jax.ShapeDtypeStruct. Raises UnusableError for a dtype, an axis or a split that there is not."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    try:
        dtype = jnp.dtype(shape.dtype)
        sharding = NamedSharding(mesh, PartitionSpec(*(entry or None for entry in shape.spec)))
        sharding.shard_shape(shape.shape)
    except (TypeError, ValueError, KeyError) as error:
        raise UnusableError(f"{shape.text}: {str(error).splitlines()[0]}") from None
    return jax.ShapeDtypeStruct(shape.shape, dtype, sharding=sharding)
