"""TT's compiler as a test run uses it: with its time limit and the programs that it keeps."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tt.results.card import compiler_facts
from pytest_tt.tt_compiler.build import find_build
from pytest_tt.tt_compiler.errors import TTCompileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from jax.sharding import Mesh

    from pytest_tt.tt_compiler.build import Build
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.lowering import Lowered
    from pytest_tt.tt_compiler.store import Store

DEFAULT_LIMIT_S = 300.0
"""Seconds that a program may take, unless ``--tt-timeout`` says otherwise."""

_NO_LIMIT_S = 1e6
_FOLDER = "card"


@functools.cache
def _build() -> Build:
    return find_build()


@dataclass(frozen=True, slots=True)
class CardCompiler:
    """The installed compiler."""

    build: Build
    limit_s: float
    """Seconds that a program may take."""
    store: Store | None
    """Where compiled programs are kept between runs."""
    tell: Callable[[str | None], None] = lambda program: None
    """Is told the program that the compiler works on, and None when it is done."""

    @classmethod
    def installed(
        cls, limit_s: float, directory: Path | None, tell: Callable[[str | None], None] = lambda program: None
    ) -> CardCompiler:
        """The compiler of this environment, which keeps programs below `directory`. Raises CompilerMissing.

        A limit of 0 s is none.
        """
        from pytest_tt.tt_compiler.store import Store

        return cls(_build(), limit_s or _NO_LIMIT_S, None if directory is None else Store(directory / _FOLDER), tell)

    @property
    def facts(self) -> dict[str, Any]:
        """The compiler as a row of the results names it."""
        from pytest_tt.tt_compiler.compile import identify

        try:
            build = identify(self.build, self.store)
        except TTCompileError:  # it does not even start
            build = self.build
        return compiler_facts(build.package, build.version, build.tt_mlir)

    def compile(
        self, lower: Callable[[], Lowered], *, system: str, name: str, options: Mapping[str, str]
    ) -> CardProgram:
        """The program called `name` that `lower` gives, compiled for `system` with `options` of TT's compiler.

        Raises TTCompileError where it is refused, there or as jax lowers it.
        """
        from pytest_tt.tt_compiler.compile import compile_program

        try:
            program = lower()
            with self._at_work(name):
                return compile_program(
                    program, system=system, options=dict(options), limit_s=self.limit_s, store=self.store
                )
        except TTCompileError as error:
            refusal = error.named(name, system)
        raise refusal

    def run_on_mock(
        self, lower: Callable[[], Lowered], *, system: str, options: Mapping[str, str]
    ) -> tuple[TTCompileError | None, str | None]:
        """What a program that compiles fails with on a mock device of `system`, and a false alarm; None for neither."""
        from pytest_tt.tt_compiler import mock

        program = lower()
        try:
            with self._at_work(program.name):
                done = mock.run(program, system=system, options=options, limit_s=self.limit_s, store=self.store)
        except mock.MockRunError as error:
            return error, None
        return None, done.false_alarm

    @contextmanager
    def _at_work(self, name: str) -> Iterator[None]:
        self.tell(name)
        try:
            yield
        finally:
            self.tell(None)


def lowered(
    function: Callable[..., Any], args: tuple[Any, ...], jit_options: Mapping[str, Any], mesh: Mesh, name: str
) -> Lowered:
    """What TT's compiler gets of `function` with `args`, arrays or their shapes, on `mesh`.

    A function that is jitted already keeps its shardings. Raises TTCompileError for what jax cannot lower for ``tt``.
    """
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    from pytest_tt.compiler.arguments import Arguments, bind
    from pytest_tt.tt_compiler.lowering import lower

    if hasattr(function, "trace") and not jit_options:
        return lower(function, args, {}, name=name)
    options = dict(jit_options)
    weights = options.pop("weights", None)
    for key in ("in_shardings", "out_shardings"):
        if options.get(key) is not None:
            options[key] = bind(options[key], mesh)
    arguments = Arguments(function, options, mesh)
    shapes, _ = arguments.shapes(args, {})
    if options.get("out_shardings") is None and not jax.tree.leaves(arguments.dynamic(shapes, {})):
        options["out_shardings"] = NamedSharding(mesh, PartitionSpec())  # nothing else says where it is to run
    chosen = arguments.weights(weights, shapes, {})
    return lower(jax.jit(function, **options), shapes, {}, name=name, weights=chosen)
