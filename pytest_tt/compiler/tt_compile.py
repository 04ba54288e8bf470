"""``tt_compile``: a function compiled by TT's compiler for the test's mesh, from shapes alone."""

from __future__ import annotations

import functools
import operator
import warnings
from typing import TYPE_CHECKING, Any

from pytest_tt.compiler.card_check import TTMockWarning, one_line
from pytest_tt.compiler.card_compiler import lowered
from pytest_tt.results.card import compiled, compiler_facts, refused
from pytest_tt.targets import compiler_options
from pytest_tt.targets.mesh import MeshShape, build_mesh
from pytest_tt.targets.systems import get_system, smallest_system
from pytest_tt.tt_compiler.cluster import check_mocked
from pytest_tt.tt_compiler.errors import TTCompileError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import Mesh

    from pytest_tt.compiler.card_compiler import CardCompiler
    from pytest_tt.results.recorder import Recorder
    from pytest_tt.run import TTRun
    from pytest_tt.targets.target import Target
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.lowering import Lowered


class TTCompile:
    """What the fixture ``tt_compile`` gives: call it with a function and its arguments or their shapes."""

    def __init__(self, run: TTRun, mesh: Mesh, compiler: CardCompiler, recorder: Recorder, target: Target) -> None:
        self._run = run
        self._mesh = mesh
        self._compiler = compiler
        self._recorder = recorder
        self._target = target
        self._last: tuple[list[Any], Any, Lowered] | None = None

    def __call__(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        system: str | None = None,
        mesh: str | MeshShape | None = None,
        mock: bool = False,
        **jit_options: Any,
    ) -> CardProgram:
        """Compile `function` for `args` by TT's compiler: arrays, or jax.ShapeDtypeStruct, also with shardings.

        `function` is a plain one, or what jax.jit or ``tt_jit`` gives. `system` is what to compile for (default: the
        first of ``--tt-compile``, else the test's own, else the smallest with the mesh's chips), `mesh` another mesh
        than the test's. The other keywords are those of ``tt_jit``, such as ``weights``; a PartitionSpec in
        ``in_shardings`` or ``out_shardings`` is bound to the mesh, an argument without a sharding is replicated.
        ``compiler_options`` are TT's, and go before the marker's and ``--tt-compiler-option``, key by key. Nothing is
        computed, and no array is needed. With `mock`, the program also runs once on a mock device, which there is of
        Blackhole systems: see ``--tt-mock``.

        Raises TTCompileError where the compiler refuses it, crashes or takes too long, ValueError for a system with
        too few chips. A program that compiles is returned, whether it fits or not: see CardProgram.
        """
        __tracebackhide__ = True
        shape = self._run.mesh if mesh is None else MeshShape.of(mesh)
        chosen = self._system(system, shape)
        name = getattr(function, "__name__", type(function).__name__)
        tt = {**self._run.options, **compiler_options.check(jit_options.pop("compiler_options", None) or {})}
        compiler_options.check_together(tt)
        self._recorder.phase("compile")
        refusal = None
        if mock:
            check_mocked(get_system(chosen))
        lower = functools.partial(self._lowered, function, args, jit_options, shape, name)
        try:
            program = self._compiler.compile(lower, system=chosen, name=name, options=tt)
        except TTCompileError as error:
            refusal = error
        if mock and refusal is None:
            refusal, false_alarm = self._compiler.run_on_mock(lower, system=chosen, options=tt)
            if false_alarm is not None:
                warnings.warn(TTMockWarning(f"{name} on a mock {chosen}: false alarm: {false_alarm}"), stacklevel=2)
        if refusal is not None:
            self._recorder.card(self._compiler.facts, refused(name, chosen, str(shape), one_line(refusal)))
            raise refusal.with_traceback(None)
        self._recorder.card(compiler_facts(*program.compiler), compiled(program, None))
        return program

    def layers(self, count: int) -> None:
        """As ``tt_jit.layers``: how many layers the model has that are alike, for ops per layer in reports."""
        self._recorder.layers(count)

    def _system(self, asked: str | None, shape: MeshShape) -> str:
        """The name of the system to compile for. Raises ValueError for one that there is not, or with too few chips."""
        if asked is not None:
            system = get_system(asked)
        else:
            own = self._run.compile[0] if self._run.compile else self._run.system or smallest_system(shape.chips)
            if own is None:
                raise ValueError(f"no system has the {shape.chips} chips of mesh {shape}: take a smaller mesh")
            system = get_system(own)
        if system.chips < shape.chips:
            raise ValueError(
                f"mesh {shape} needs {shape.chips} chips, {system.name} has {system.chips}: take a smaller mesh or "
                "another system"
            )
        return system.name

    def _lowered(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        jit_options: dict[str, Any],
        shape: MeshShape,
        name: str,
    ) -> Lowered:
        """The program to compile. The last one is kept: it is often compiled for one system after the other."""
        import jax

        leaves, structure = jax.tree.flatten((args, jit_options))
        same: list[Any] = [function, *leaves]
        key = (structure, shape, name)
        if self._last is not None:
            before, key_before, kept = self._last
            if key == key_before and len(same) == len(before) and all(map(operator.is_, same, before)):
                return kept
        self._last = None
        program = lowered(function, args, jit_options, self._mesh_of(shape), name)
        self._last = (same, key, program)
        return program

    def _mesh_of(self, shape: MeshShape) -> Mesh:
        if shape == self._run.mesh:
            return self._mesh
        self._target.more(shape)
        return build_mesh(shape, self._run.axes, self._target.devices())
