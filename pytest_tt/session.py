"""One pytest run on chips: its settings, its target, where its lines go and its compile cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tt.packages import package_version
from pytest_tt.targets.choice import choose
from pytest_tt.targets.jax_import import when_imported
from pytest_tt.targets.target import ChipsError, Request, Target
from pytest_tt.tt_compiler.build import CompilerMissing, find_build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tt.compiler.cache import CompileCache
    from pytest_tt.compiler.card_compiler import CardCompiler
    from pytest_tt.emulator.exports import Exports
    from pytest_tt.options import Setting, Settings
    from pytest_tt.reporting import Reporting
    from pytest_tt.run import TTRun
    from pytest_tt.targets.lent import LentChips


class RunCache:
    """The compile cache of a run, from the moment it is known that tests need chips."""

    def __init__(self) -> None:
        self._cache: CompileCache | None = None
        self.directory: Path | None = None
        """Where programs are kept between runs; None where they are not."""

    def open(self, chosen: Setting[str | None], default: Callable[[], Path | None], invoked_in: Path) -> None:
        """Keep compiled programs on disk, in the directory `chosen` or the one that `default` makes.

        Raises pytest.UsageError for a directory that cannot be used.
        """
        if chosen.value == "off":
            return
        from pytest_tt.compiler.cache import CompileCache

        try:
            directory = default() if chosen.value is None else invoked_in / Path(chosen.value).expanduser()
            if directory is None:
                return
            cache = CompileCache(directory)
        except OSError as error:
            if chosen.value is None:
                return  # pytest's cache cannot be written; pytest itself says so
            raise pytest.UsageError(
                f"{chosen.source}: {chosen.value} cannot be used ({error.strerror}): expected a directory that can be "
                "written, or off"
            ) from None
        self._cache, self.directory = cache, directory
        when_imported("jax", lambda: cache.open(asked=chosen.value is not None))

    def keep(self) -> None:
        """Keep what was compiled so far."""
        if self._cache is not None:
            self._cache.keep()

    def forget_process(self, pid: int) -> None:
        """Remove what process `pid`, which ran tests for this one and is gone, left of its cache."""
        if self._cache is not None:
            self._cache.remove_working(pid)

    def close(self) -> None:
        """Keep what was compiled; the run is over."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None


@dataclass(frozen=True, slots=True)
class Session:
    """A run. Made before any conftest is imported; imports jax only once a test needs it."""

    settings: Settings
    target: Target
    reporting: Reporting
    artifacts: Path | None
    """Where to keep what is compiled; None for nowhere."""
    cache: RunCache = field(default_factory=RunCache)

    def header(self, version: str) -> str:
        """The line of pytest's report header: every setting that matters, and where it came from."""
        settings = self.settings
        parts = [f"tt: {version}", *self.target.header(), f"mesh {settings.mesh.value} ({settings.mesh.source})"]
        parts.append(f"jax {package_version('jax') or 'not installed'}")
        if settings.compile.value and self.target.compiled_by_tt:
            parts.append(f"compile off (on {self.target.name} the card's plugin compiles every program)")
        elif settings.compile.value:
            systems, build = ", ".join(settings.compile.value), find_build()
            parts.append(f"compile {systems} ({settings.compile.source}) by {build.package} {build.version}")
        elif self.target.emulates:
            build = find_build()
            parts.append(f"compiled by {build.package} {build.version}")
        if settings.require.value:
            parts.append(f"require ({settings.require.source})")
        return ", ".join(parts)

    def check_compiler(self) -> None:
        """Raise pytest.UsageError where programs are to be compiled by TT's compiler and it is not installed."""
        asked, backend = self.settings.compile, self.settings.backend
        if self.target.emulates:
            option = f"{backend.source} {backend.value}"
        elif asked.value and not self.target.compiled_by_tt:
            option = f"{asked.source} {','.join(asked.value)}"
        else:
            return
        try:
            find_build()
        except CompilerMissing as error:
            raise pytest.UsageError(f"{option}: {error}") from None

    def check_mock(self) -> None:
        """Raises pytest.UsageError for ``--tt-mock`` without systems whose chips can be mocked."""
        mock, systems = self.settings.mock, self.settings.compile.value
        if not mock.value or self.target.compiled_by_tt:
            return
        from pytest_tt.tt_compiler.cluster import MOCKED

        others = [name for name in systems if name not in MOCKED]
        if others or not systems:
            what = f"no mock device of {', '.join(others)}" if others else "nothing is compiled"
            expected = f"--tt-compile with {', '.join(MOCKED[:-1])} or {MOCKED[-1]}"
            raise pytest.UsageError(f"{mock.source}: {what}: expected {expected}")

    def card_compiler(self) -> CardCompiler:
        """TT's compiler for this run's programs. Raises CompilerMissing where it is not installed."""
        from pytest_tt.compiler.card_compiler import DEFAULT_LIMIT_S, CardCompiler

        limit = self.settings.timeout.value
        limit_s = DEFAULT_LIMIT_S if limit is None else limit
        return CardCompiler.installed(limit_s, self.cache.directory, self.reporting.compiling)

    def exports(self) -> Exports | None:
        """Where this run keeps emulated programs as jax lowered them; None where nothing is kept."""
        from pytest_tt.emulator.exports import Exports

        directory = self.cache.directory
        if directory is None or find_spec("flatbuffers") is None:  # jax writes such files by that package
            return None
        return Exports(directory / "emulated")

    def check_explain(self) -> None:
        """Raises pytest.UsageError for ``--tt-explain`` on a target that emulates nothing."""
        explain = self.settings.explain
        if explain.value and not self.target.emulates:
            raise pytest.UsageError(
                f"{explain.source}: programs are executed op by op by the emulator only: expected --tt-backend emu"
            )

    def provide(self, runs: Sequence[TTRun], *, needed: bool) -> None:
        """Have enough chips for the `runs` of the collected tests; `needed`: there are some, or the user asked.

        Call it once, after collection.
        Raises pytest.UsageError where jax was started too early with too few chips that are in use.
        """
        target = self.target
        most = max((run.mesh.chips for run in runs if run.obstacle is None), default=0)

        def provide() -> None:
            try:
                target.provide(most, needed=needed)
            except ChipsError as error:
                raise pytest.UsageError(str(error)) from None

        if needed:
            when_imported("jax", target.use_platform)
        when_imported("jax", provide)

    def hold_chips(self) -> None:
        """Wait for the chips, if others can have them too. Raises pytest.UsageError where they do not come free."""
        try:
            self.target.hold(self.reporting.say)
        except ChipsError as error:
            raise pytest.UsageError(str(error)) from None

    def lend_chips(self, cache: Path | None) -> LentChips | None:
        """Hold the chips for other processes, as `Target.lend`. Raises pytest.UsageError as `hold_chips`."""
        try:
            return self.target.lend(self.reporting.say, may_reset=self.settings.reset.value, cache=cache)
        except ChipsError as error:
            raise pytest.UsageError(str(error)) from None


def choose_target(settings: Settings) -> Target:
    """The target that `settings` ask for. Raises pytest.UsageError."""
    request = Request(
        backend=settings.backend.value,
        source=settings.backend.source,
        system=settings.system.value,
        system_source=settings.system.source,
        mesh=settings.mesh.value if settings.mesh.given else None,
        lock_timeout_s=settings.lock_timeout.value,
        host_devices=settings.wanted,
    )
    try:
        return choose(request)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
