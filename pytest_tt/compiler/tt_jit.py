"""``tt_jit``: jax.jit on the test's mesh, with what it compiles and how long that took on record."""

from __future__ import annotations

import functools
import time
import types
import warnings
from itertools import count
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from pytest_tt.compiler.arguments import Arguments, bind
from pytest_tt.compiler.artifacts import file_name
from pytest_tt.compiler.executable import Place, UnreadableError, read_executable
from pytest_tt.compiler.memory import is_out_of_memory
from pytest_tt.compiler.placement import describe_arguments
from pytest_tt.compiler.program import Program, bytes_per_chip, count_collectives
from pytest_tt.compiler.simulation import Simulation
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.files import write_atomically
from pytest_tt.results.card import compiled as card_entry
from pytest_tt.results.card import compiler_facts
from pytest_tt.targets import compiler_options, jax_private
from pytest_tt.text import short_bytes
from pytest_tt.tt_compiler.errors import TTCompileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jax.sharding import Mesh

    from pytest_tt.compiler.card_check import CardCheck
    from pytest_tt.compiler.emulation import EmulatedCall, Emulation
    from pytest_tt.results.recorder import Recorder
    from pytest_tt.run import TTRun
    from pytest_tt.targets.target import Target
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.lowering import Lowered


class TTArtifactWarning(UserWarning):
    """An artifact asked for by ``--tt-artifacts`` could not be written."""


class TTExecutableWarning(UserWarning):
    """What the card's plugin compiles cannot be read, so programs have no collectives and no memory."""


class TTJit:
    """What the fixture ``tt_jit`` gives: call it like ``jax.jit``."""

    def __init__(
        self,
        run: TTRun,
        mesh: Mesh,
        recorder: Recorder,
        artifacts: Path | None,
        target: Target,
        card: CardCheck | None = None,
        emulation: Emulation | None = None,
    ) -> None:
        self._card = card
        self._emulation = emulation
        self._run = run
        self._target = target
        self._mesh = mesh
        self._recorder = recorder
        self._artifacts = artifacts
        self._functions: list[JittedFunction] = []
        self._numbers = count()

    def __call__(self, function: Callable[..., Any] | None = None, /, **jit_options: Any) -> Any:
        """Compile `function` for the chips of the test's mesh: a JittedFunction; without one, a decorator.

        Takes the keywords of jax.jit. A PartitionSpec in ``in_shardings`` or ``out_shardings`` is bound to ``tt_mesh``.
        Arguments that are not on chips yet (NumPy, Python numbers, uncommitted arrays) are placed by ``in_shardings``,
        replicated where it says nothing; arrays committed to the host are an error, as with jax.jit.

        ``compiler_options`` are TT's, checked, and go before the marker's and ``--tt-compiler-option``, key by key.
        XLA's own (``xla_…``) are for the compiler of the simulated chips, and left out on the card.

        ``weights`` are the arguments that hold a model's weights: positions or names, one or several, like
        ``donate_argnums``. TT's compiler converts them ahead of the calls, and ``experimental_weight_dtype`` acts on
        them alone. Default: every argument with the variables of a linen module, as Tenstorrent's own plugin has it; ()
        for none. Simulated chips make no difference.

        Raises TypeError for ``backend`` and ``device``, ValueError for options that TT's compiler does not have.
        """
        if function is None:
            return functools.partial(self, **jit_options)
        jitted = JittedFunction(
            function, jit_options, self._run, self._mesh, self._recorder, self._artifact, self._target, self._card,
            self._emulation,
        )  # fmt: skip
        self._functions.append(jitted)
        return jitted

    def _artifact(self, name: str) -> Path | None:
        """Where to keep what is compiled of function `name`, without suffix; None where nothing is kept."""
        if self._artifacts is None:
            return None
        return self._artifacts / f"{next(self._numbers):02}_{file_name(name.strip('<>'))}"

    def work(self, **counts: int) -> None:
        """Say what one execution processes, e.g. ``tt_jit.work(tokens=4 * 128)``: reports then show tokens a second.

        Raises TypeError for a count that is not a whole number, ValueError for one below 1.
        """
        for unit, number in counts.items():
            if isinstance(number, bool) or not isinstance(number, int | np.integer):
                raise TypeError(
                    f"tt_jit.work: {unit}={number!r} is not a whole number: give how many an execution processes"
                )
            if number < 1:
                raise ValueError(f"tt_jit.work: {unit}={number} is below 1: give how many an execution processes")
        self._recorder.work({unit: int(number) for unit, number in counts.items()})

    def layers(self, count: int) -> None:
        """Say how many layers the model has that are alike, e.g. ``tt_jit.layers(12)``: reports show ops per layer.

        Raises TypeError for what is not a whole number, ValueError for one below 1.
        """
        self._recorder.layers(count)

    @property
    def programs(self) -> tuple[Program, ...]:
        """Everything compiled so far in this test."""
        return tuple(program for function in self._functions for program in function.programs)


class JittedFunction:
    """A function bound to the test's chips and compiler options; it has the methods of what jax.jit returns."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __init__(
        self,
        function: Callable[..., Any],
        jit_options: Mapping[str, Any],
        run: TTRun,
        mesh: Mesh,
        recorder: Recorder,
        artifact: Callable[[str], Path | None],
        target: Target,
        card: CardCheck | None = None,
        emulation: Emulation | None = None,
    ) -> None:
        options = dict(jit_options)
        for key in ("backend", "device"):
            if options.get(key) is not None:
                raise TypeError(f"tt_jit takes no {key}=: it is bound to the mesh {run.mesh} of this test")
        for key in ("in_shardings", "out_shardings"):
            if options.get(key) is not None:
                options[key] = bind(options[key], mesh)
        self._weights = options.pop("weights", None)
        self._tt_options, passed = _compiler_options(options.get("compiler_options"), run, target)
        self._function = function
        self._arguments = Arguments(function, options, mesh)
        # Within another function's trace the options of that one hold; jax refuses others there.
        self._inner: Any = jax.jit(function, **options)
        self._options = options | {"compiler_options": passed or None}
        self._jitted: Any = jax.jit(function, **self._options)
        self._run = run
        self._mesh = mesh
        self._recorder = recorder
        self._artifact = artifact
        self._target = target
        self._card = card
        self._emulation = emulation
        self._programs: dict[int, Program] = {}
        self._seen: dict[object, Program] = {}
        functools.update_wrapper(self, function, updated=())
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    @property
    def programs(self) -> tuple[Program, ...]:
        """What has been compiled so far, in order."""
        return tuple(self._programs.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run on the chips and wait for the results."""
        __tracebackhide__ = True
        if _is_traced(args, kwargs):
            args, kwargs = self._arguments.place_traced(args, kwargs)
            return self._inner(*args, **kwargs)
        args, kwargs = self._arguments.place(args, kwargs)
        jitted = self._jitted_for(args, kwargs)
        if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
            return jitted(*args, **kwargs)
        program = self._without_frames(self._find, jitted, args, kwargs)
        if not self._target.executes:
            pytest.skip(f"{self.__name__} is compiled: {self._target.title} do not execute it")
        self._recorder.phase("execute")
        start = time.perf_counter()
        # jax's own call: a compiled program called directly would skip its checks, e.g. of jax_debug_nans.
        try:
            result = jax.block_until_ready(self._execute(program, jitted, args, kwargs))
        except (jax.errors.JaxRuntimeError, EmulationError) as error:
            if not isinstance(error, EmulationError):
                if not is_out_of_memory(error):
                    raise
                need = short_bytes(program.bytes_per_chip)
                error.add_note(f"{self.__name__} needs {need} on each chip: arguments, results and temporaries")
            failed = error
        else:
            failed = None
        if failed is not None:
            # Without jax's frames: pytest would show their arguments, and wait for ever for arrays that will never be.
            raise failed.with_traceback(None)
        program.runs_s.append(time.perf_counter() - start)
        self._recorder.ran(program.runs_s[-1])
        return result

    def _execute(self, program: Program, jitted: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The results of a call, as soon as jax has them."""
        __tracebackhide__ = True
        if program.emulated is None:
            return jitted(*args, **kwargs)
        leaves = jax.tree.leaves(self._arguments.dynamic(args, kwargs))
        return program.emulated(leaves, lambda: jitted(*args, **kwargs))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """As ``jax.jit(f).trace``, for the arguments as they would be placed, or for jax.ShapeDtypeStruct."""
        args, kwargs = self._arguments.place(args, kwargs)
        return self._jitted_for(args, kwargs).trace(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """As ``jax.jit(f).lower``, for the arguments as they would be placed, or for jax.ShapeDtypeStruct."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """As ``jax.jit(f).eval_shape``; nothing is placed."""
        return self._inner.eval_shape(*args, **kwargs)

    def clear_cache(self) -> None:
        """As ``jax.jit(f).clear_cache``: the next call compiles anew. `programs` still lists what was compiled."""
        self._seen.clear()
        for jitted in (self._inner, self._jitted, self._replicated):
            jitted.clear_cache()

    def compile(self, *args: Any, **kwargs: Any) -> Program:
        """Compile for these arguments, or for jax.ShapeDtypeStruct, without running."""
        __tracebackhide__ = True
        args, kwargs = self._arguments.place(args, kwargs)
        return self._without_frames(self._program, self._jitted_for(args, kwargs), args, kwargs)

    def _without_frames(self, find: Callable[..., Program], *arguments: Any) -> Program:
        """The program that `find` gives; a refusal of TT's compiler or of the emulator shows the test alone, not how it
        was asked."""
        __tracebackhide__ = True
        try:
            return find(*arguments)
        except (TTCompileError, EmulationError) as error:
            refusal: Exception = error
        raise refusal.with_traceback(None)

    def _jitted_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The jitted function; without arrays that would take it to the chips, its results must."""
        if self._options.get("out_shardings") is not None or jax.tree.leaves(self._arguments.dynamic(args, kwargs)):
            return self._jitted
        return self._replicated

    @functools.cached_property
    def _replicated(self) -> Any:
        return jax.jit(self._function, **self._options | {"out_shardings": NamedSharding(self._mesh, PartitionSpec())})

    def _find(self, jitted: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
        """The program of a call: at once where an equal call was seen before, else by asking jax."""
        if jax_private.cache_size(jitted) == 0:  # nothing ran yet, or jax's caches were cleared
            self._seen.clear()
        try:
            signature = self._signature(args, kwargs)
            program = self._seen.get(signature)
        except (TypeError, AttributeError):  # a static argument without a hash, or no array: jax explains it
            return self._program(jitted, args, kwargs)
        if program is None:
            program = self._seen[signature] = self._program(jitted, args, kwargs)
        return program

    def _signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """What calls of one program have in common, and perhaps more: jax itself decides, see `_program`."""
        leaves, structure = jax.tree.flatten(self._arguments.dynamic(args, kwargs))
        return (
            tuple((key, type(value), value) for key, value in self._arguments.static(args, kwargs)),
            structure,
            tuple((x.shape, x.dtype, x.aval.weak_type, x.sharding) for x in leaves),
            jax_private.trace_context(),
        )

    def _program(self, jitted: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
        """The program for these arguments. jax keeps what it traced and lowered: the same module, the same program."""
        self._recorder.phase("trace")
        weights = self._arguments.weights(self._weights, args, kwargs)
        start = time.perf_counter()
        traced = jitted.trace(*args, **kwargs)
        traced_at = time.perf_counter()
        lowered = traced.lower()
        module = id(lowered.compiler_ir())
        if module not in self._programs:
            self._recorder.phase("compile")
            self._programs[module] = self._compile(
                jitted, traced, lowered, args, kwargs, weights, trace_s=traced_at - start, traced_at=traced_at
            )
        return self._programs[module]

    def _compile(
        self,
        jitted: Any,
        traced: Any,
        lowered: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        weights: Mapping[int, str] | None,
        *,
        trace_s: float,
        traced_at: float,
    ) -> Program:
        artifact = self._artifact(self.__name__)
        if artifact is not None:
            write_atomically(artifact.with_name(f"{artifact.name}.stablehlo.mlir"), str(lowered.as_text()))
        compiled = lowered.compile()

        def lower_once() -> Lowered:
            from pytest_tt.tt_compiler.lowering import lower

            return lower(jitted, args, kwargs, name=self.__name__, weights=weights)

        lower_for_tt = functools.cache(lower_once)
        emulated: EmulatedCall | None = None
        if self._emulation is not None:
            emulated = self._emulation.compile(
                lower_for_tt,
                self.__name__,
                self._tt_options,
                artifact,
                Simulation.of(traced, lowered, compiled, self._mesh),
            )
        compiled_at = time.perf_counter()
        card, memory, collectives = None, None, None
        if emulated is not None:
            card = emulated.card
        elif self._target.compiled_by_tt:
            card = self._card_program(compiled, lowered)
            if card is not None:
                self._recorder.card(compiler_facts(*card.compiler), card_entry(card, None))
        else:
            memory, collectives = bytes_per_chip(compiled), count_collectives(compiled)
        if card is not None:
            memory, collectives = card.dram_peak_bytes, card.collectives
        program = Program(
            name=self.__name__,
            lowered=lowered,
            compiled=compiled,
            trace_s=trace_s,
            compile_s=compiled_at - traced_at,
            bytes_per_chip=memory,
            collectives=collectives,
            options=dict(self._tt_options),
            card=card,
            emulated=emulated,
        )
        self._recorder.compiled(program.trace_s, program.compile_s, program.bytes_per_chip, program.collectives)
        self._recorder.placed(describe_arguments(self._arguments.named(args, kwargs)))
        if artifact is not None:
            self._keep_artifacts(artifact, args, kwargs)
        if self._card is not None and emulated is None:
            self._card.check(lower_for_tt, self.__name__, self._tt_options, artifact)
        return program

    def _card_program(self, compiled: Any, lowered: Any) -> CardProgram | None:
        """What the card's plugin compiled; None, with a warning, if it cannot be read."""
        place = Place(self._target.packages, self._run.system or self._target.similar_system, str(self._run.mesh))
        try:
            return read_executable(compiled, lowered.as_text(debug_info=True), self.__name__, place)
        except UnreadableError as error:
            # The same text and place for all programs: pytest's summary shows it once.
            text = f"programs have no collectives and no memory: {error}"
            warnings.warn(TTExecutableWarning(text), stacklevel=1)
            return None

    def _keep_artifacts(self, artifact: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._target.write_artifacts(self._function, args, kwargs, artifact, self._tt_options)
        except Exception as error:
            text = f"--tt-artifacts: no TTIR, TTNN and flatbuffer of {self.__name__}: {type(error).__name__}: {error}"
            warnings.warn(TTArtifactWarning(text), stacklevel=6)


def _is_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is part of a function that jax traces or transforms; it may take no argument of that one."""
    return jax_private.tracing() or any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs)))


def _compiler_options(given: Any, run: TTRun, target: Target) -> tuple[dict[str, str], dict[str, Any]]:
    """TT's options in force for a function that is `given` some of its own, and what is passed to the compiler."""
    tt, xla = ({}, {}) if given is None else compiler_options.split(given)
    tt = {**run.options, **tt}
    compiler_options.check_together(tt)
    return tt, target.compiler_options(tt, xla)
