"""``tt_jit``: jax.jit on the test's mesh, with what it compiles and how long that took on record."""

from __future__ import annotations

import inspect
import time
import warnings
from itertools import count
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from pytest_tt.artifacts import file_name
from pytest_tt.files import write_atomically
from pytest_tt.placement import describe_arguments
from pytest_tt.program import Program, bytes_per_chip, count_collectives

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jax.sharding import Mesh

    from pytest_tt.recorder import Recorder
    from pytest_tt.run import TTRun


class TTArtifactWarning(UserWarning):
    """An artifact asked for by ``--tt-artifacts`` could not be written."""


class TTJit:
    """What the fixture ``tt_jit`` gives: call it like ``jax.jit``."""

    def __init__(self, run: TTRun, mesh: Mesh, recorder: Recorder, artifacts: Path | None) -> None:
        self._run = run
        self._mesh = mesh
        self._recorder = recorder
        self._artifacts = artifacts
        self._functions: list[JittedFunction] = []
        self._numbers = count()

    def __call__(self, function: Callable[..., Any], **jit_options: Any) -> JittedFunction:
        """Compile `function` for the chips of the test's mesh.

        Takes the keywords of jax.jit. A PartitionSpec in ``in_shardings`` or ``out_shardings`` is bound to ``tt_mesh``.
        Arguments that are not on chips yet (NumPy, Python numbers, uncommitted arrays) are placed by ``in_shardings``,
        replicated where it says nothing; arrays committed to the host are an error, as with jax.jit.
        """
        jitted = JittedFunction(function, jit_options, self._run, self._mesh, self._recorder, self._artifact)
        self._functions.append(jitted)
        return jitted

    def _artifact(self, name: str) -> Path | None:
        """Where to keep what is compiled of function `name`, without suffix; None where nothing is kept."""
        if self._artifacts is None:
            return None
        return self._artifacts / f"{next(self._numbers):02}_{file_name(name.strip('<>'))}"

    def work(self, **counts: int) -> None:
        """Say what one execution processes, e.g. ``tt_jit.work(tokens=4 * 128)``: reports then show tokens a second.

        Raises TypeError for a count that is no whole number, ValueError for one below 1.
        """
        for unit, number in counts.items():
            if isinstance(number, bool) or not isinstance(number, int | np.integer):
                raise TypeError(
                    f"tt_jit.work: {unit}={number!r} is no whole number: give how many an execution processes"
                )
            if number < 1:
                raise ValueError(f"tt_jit.work: {unit}={number} is below 1: give how many an execution processes")
        self._recorder.work({unit: int(number) for unit, number in counts.items()})

    @property
    def programs(self) -> tuple[Program, ...]:
        """Everything compiled so far in this test."""
        return tuple(program for function in self._functions for program in function.programs)


class JittedFunction:
    """A function bound to the test's chips and compiler options."""

    def __init__(
        self,
        function: Callable[..., Any],
        jit_options: Mapping[str, Any],
        run: TTRun,
        mesh: Mesh,
        recorder: Recorder,
        artifact: Callable[[str], Path | None],
    ) -> None:
        options = dict(jit_options)
        for key in ("backend", "device"):
            if key in options:
                raise TypeError(f"tt_jit takes no {key}=: it is bound to the mesh {run.mesh} of this test")
        for key in ("in_shardings", "out_shardings"):
            if options.get(key) is not None:
                options[key] = _bind(options[key], mesh)
        self._function = function
        self._in_shardings = options.get("in_shardings")
        self._positional = _positional(function)
        self._static_nums, self._static_names = _static(self._positional, options)
        self._options = options
        self._jitted = jax.jit(function, **options)
        self._run = run
        self._mesh = mesh
        self._recorder = recorder
        self._artifact = artifact
        self._programs: dict[object, Program] = {}
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    @property
    def programs(self) -> tuple[Program, ...]:
        """What has been compiled so far, in order."""
        return tuple(self._programs.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run on the chips and wait for the results."""
        __tracebackhide__ = True
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            return self._jitted(*args, **kwargs)
        args, kwargs = self._place(args, kwargs)
        if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
            return self._function(*args, **kwargs)
        program = self._program(args, kwargs)
        dynamic_args, dynamic_kwargs = self._dynamic(args, kwargs)
        self._recorder.phase("execute")
        start = time.perf_counter()
        result = jax.block_until_ready(program.compiled(*dynamic_args, **dynamic_kwargs))
        program.runs_s.append(time.perf_counter() - start)
        self._recorder.ran(program.runs_s[-1])
        return result

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """As ``jax.jit(f).lower``, for the arguments as they would be placed."""
        args, kwargs = self._place(args, kwargs)
        return self._jitted_for(args, kwargs).lower(*args, **kwargs)

    def compile(self, *args: Any, **kwargs: Any) -> Program:
        """Compile for these arguments without running."""
        return self._program(*self._place(args, kwargs))

    def _program(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
        key = self._key(args, kwargs)
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._compile(args, kwargs)
        return program

    def _jitted_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The jitted function; without arrays that would take it to the chips, its results must."""
        if self._options.get("out_shardings") is not None or jax.tree.leaves(self._dynamic(args, kwargs)):
            return self._jitted
        replicated = NamedSharding(self._mesh, PartitionSpec())
        return jax.jit(self._function, **self._options | {"out_shardings": replicated})

    def _dynamic(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that are not static: those that a compiled program takes."""
        return (
            [arg for index, arg in enumerate(args) if index not in self._static_nums],
            {name: value for name, value in kwargs.items() if name not in self._static_names},
        )

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments that are not static, by the names that the function's signature gives them."""
        names = [*self._positional, *(f"argument {index}" for index in range(len(self._positional), len(args)))]
        named = {names[index]: arg for index, arg in enumerate(args) if index not in self._static_nums}
        return named | self._dynamic((), kwargs)[1]

    def _compile(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
        self._recorder.phase("trace")
        start = time.perf_counter()
        traced = self._jitted_for(args, kwargs).trace(*args, **kwargs)
        traced_at = time.perf_counter()
        self._recorder.phase("compile")
        lowered = traced.lower()
        artifact = self._artifact(self.__name__)
        if artifact is not None:
            write_atomically(artifact.with_name(f"{artifact.name}.stablehlo.mlir"), str(lowered.as_text()))
        # XLA's CPU compiler refuses options that are not its own: in sim they are checked, not passed on.
        options = dict(self._run.options) if self._run.backend == "hw" else {}
        compiled = lowered.compile(compiler_options=options) if options else lowered.compile()
        compiled_at = time.perf_counter()
        program = Program(
            name=self.__name__,
            lowered=lowered,
            compiled=compiled,
            trace_s=traced_at - start,
            compile_s=compiled_at - traced_at,
            bytes_per_chip=bytes_per_chip(compiled),
            collectives=count_collectives(compiled),
        )
        self._recorder.compiled(program.trace_s, program.compile_s, program.bytes_per_chip, program.collectives)
        self._recorder.placed(describe_arguments(self._named(args, kwargs)))
        if artifact is not None and self._run.backend == "hw":
            self._keep_tt_artifacts(artifact, args, kwargs, options)
        return program

    def _keep_tt_artifacts(
        self, artifact: Path, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, str]
    ) -> None:
        try:
            from tt_jax import serialize_compiled_artifacts_to_disk

            serialize_compiled_artifacts_to_disk(
                self._function,
                *args,
                output_prefix=str(artifact),
                compiler_options=options,
                **kwargs,
            )
        except Exception as error:
            text = f"--tt-artifacts: no TTIR, TTNN and flatbuffer of {self.__name__}: {type(error).__name__}: {error}"
            warnings.warn(TTArtifactWarning(text), stacklevel=5)

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        static = [
            *((index, arg) for index, arg in enumerate(args) if index in self._static_nums),
            *((name, kwargs[name]) for name in sorted(kwargs) if name in self._static_names),
        ]
        leaves, structure = jax.tree.flatten(self._dynamic(args, kwargs))
        return (
            tuple(static),
            structure,
            tuple((x.shape, x.dtype, getattr(x, "weak_type", False), x.sharding) for x in leaves),
        )

    def _place(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Bring what is not on chips yet onto the mesh."""
        __tracebackhide__ = True
        replicated = NamedSharding(self._mesh, PartitionSpec())
        dynamic, _ = self._dynamic(args, kwargs)
        wanted: Any = self._in_shardings
        if isinstance(wanted, list | tuple):  # one entry an argument; a single sharding holds for all
            if len(wanted) != len(dynamic):
                raise ValueError(
                    f"in_shardings of {self.__name__} holds {len(wanted)} entries, but the call has {len(dynamic)} "
                    "positional arguments"
                )
            placed = [_place_tree(arg, sharding, replicated) for arg, sharding in zip(dynamic, wanted, strict=True)]
        else:
            placed = [_place_tree(arg, wanted, replicated) for arg in dynamic]
        remaining = iter(placed)
        new_args = tuple(arg if index in self._static_nums else next(remaining) for index, arg in enumerate(args))
        new_kwargs = {
            name: value if name in self._static_names else _place_tree(value, None, replicated)
            for name, value in kwargs.items()
        }
        return new_args, new_kwargs


def _place_tree(tree: Any, shardings: Any, replicated: NamedSharding) -> Any:
    """`tree` with its uncommitted leaves placed; `shardings` is a prefix of it, None meaning replicated."""
    __tracebackhide__ = True

    def place_below(sharding: Sharding | None, subtree: Any) -> Any:
        __tracebackhide__ = True
        target = replicated if sharding is None else sharding
        return jax.tree.map(lambda leaf: _place_leaf(leaf, target, client), subtree)

    client = replicated.mesh.devices.flat[0].client

    return jax.tree.map(place_below, shardings, tree, is_leaf=lambda node: node is None or isinstance(node, Sharding))


def _place_leaf(leaf: Any, target: Sharding, client: Any) -> Any:
    __tracebackhide__ = True
    if not (isinstance(leaf, jax.Array) and leaf.committed):
        return jax.device_put(leaf, target)
    device = next(iter(leaf.devices()))
    if device.client is not client:
        raise ValueError(
            f"an argument of shape {leaf.shape} is committed to {device}, which is no chip of this run: place it with "
            "jax.device_put(x, NamedSharding(tt_mesh, PartitionSpec(...))), or pass it as a NumPy array"
        )
    return leaf


def _bind(shardings: Any, mesh: Mesh) -> Any:
    """Turn every PartitionSpec in a tree of shardings into a NamedSharding on `mesh`."""
    return jax.tree.map(
        lambda node: NamedSharding(mesh, node) if isinstance(node, PartitionSpec) else node,
        shardings,
        is_leaf=lambda node: node is None or isinstance(node, PartitionSpec | Sharding),
    )


def _positional(function: Callable[..., Any]) -> list[str]:
    """Names of the positional parameters of `function`, none where it has no signature."""
    try:
        return [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return []


def _static(parameters: list[str], options: Mapping[str, Any]) -> tuple[frozenset[int], frozenset[str]]:
    """Positions and names of static arguments; as in jax, one alone gives the other by the signature."""
    nums = set(_as_tuple(options.get("static_argnums")))
    names = set(_as_tuple(options.get("static_argnames")))
    nums = {num % len(parameters) if num < 0 and parameters else num for num in nums}
    if nums and not names:
        names = {parameters[num] for num in nums if num < len(parameters)}
    elif names and not nums:
        nums = {index for index, name in enumerate(parameters) if name in names}
    return frozenset(nums), frozenset(names)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int | np.integer) else tuple(value)
