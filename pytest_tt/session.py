"""One pytest run on Tenstorrent chips: chooses the ground, prepares jax, and holds the chips while tests run."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tt.packages import package_version
from pytest_tt.targets.device_root import nodes_directory
from pytest_tt.targets.jax_import import when_imported
from pytest_tt.targets.platforms import PLATFORM
from pytest_tt.targets.target import Ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_tt.compiler.cache import CompileCache
    from pytest_tt.isolation.chips import HeldChips
    from pytest_tt.isolation.options import Isolation
    from pytest_tt.options import Settings
    from pytest_tt.results.collector import ResultsCollector, WorkerNotes
    from pytest_tt.results.row import Row
    from pytest_tt.run import TTRun
    from pytest_tt.targets.detection import Box
    from pytest_tt.targets.lock import ChipLock
    from pytest_tt.targets.simulated import SimulatedChips


# Never released: jax keeps the chips open until the process ends, and the kernel frees the lock then.
_held: list[ChipLock] = []
# Whether a process that started this one holds the chips for it.
_lent = False


class Session:
    """State of a run. Created before any conftest is imported; imports jax only once a test needs it."""

    def __init__(self, settings: Settings, *, of_tests: bool = True) -> None:
        self.settings = settings
        # Whether the host is to have as many devices as TT-XLA's own tests give it: a script keeps what it has.
        self._of_tests = of_tests
        self.ground, self._box = _choose(settings)
        self.in_use = False
        self.say: Callable[[str], None] = lambda line: print(line, file=sys.__stderr__, flush=True)
        self.artifacts: Path | None = None
        self.recorded_goldens: set[Path] = set()
        self.notes: WorkerNotes | None = None
        self.collector: ResultsCollector | None = None
        self.isolation: Isolation | None = None
        # Whether this process runs tests for another one, and how to tell that of phases.
        self.is_child = False
        self.tell_parent: Callable[[str, str], None] | None = None
        self._simulated: SimulatedChips | None = None
        self._unusable: str | None = None
        self._compile_cache: CompileCache | None = None

    def prepare_jax(self) -> None:
        """Arrange that jax finds the right chips as soon as anybody imports it."""
        when_imported("jax", self._prepare_hardware if self.ground.backend == "hw" else self._prepare_simulated)

    def _prepare_hardware(self) -> None:
        from pytest_tt.targets import card, jax_private

        assert self._box is not None
        card.prepare(self._box)
        self._prepare_platforms()
        # A test or a conftest may start jax though no test asks for chips by marker or fixture.
        with suppress(AttributeError, ImportError):
            jax_private.around_discovery(self._hold_before_start)

    def _prepare_simulated(self) -> None:
        from pytest_tt.targets.simulated import EARLY_CHIPS, PlatformTakenError, SimulatedChips

        early = self.ground.chips or max(EARLY_CHIPS, self.settings.mesh.value.chips)
        chips = SimulatedChips(early)
        # This runs inside `import jax`, also of runs that want no chips.
        try:
            chips.attach()
        except PlatformTakenError as error:
            self._unusable = str(error)
        except (AttributeError, ImportError, TypeError) as error:  # the private API has changed
            self._unusable = (
                f"pytest-tt cannot simulate chips with jax {package_version('jax')} ({type(error).__name__}: {error}); "
                "install a jax that it supports, see the README's table"
            )
        else:
            self._simulated = chips
            self._prepare_platforms()

    def _prepare_platforms(self) -> None:
        from pytest_tt.targets.platforms import allow_chips, set_host_devices

        allow_chips()
        if self.settings.wanted and self._of_tests:
            set_host_devices()

    @contextmanager
    def _hold_before_start(self) -> Iterator[None]:
        import jax

        platforms: str | None = jax.config.jax_platforms  # type: ignore[attr-defined]
        if not platforms or PLATFORM in platforms.split(","):
            self.hold_chips()
        yield

    def refuse_workers(self, processes: object, is_worker: bool) -> None:
        """Raises pytest.UsageError for more than one xdist worker on hw."""
        if self.ground.backend == "hw" and not is_worker and isinstance(processes, int) and processes > 1:
            raise pytest.UsageError(
                f"-n {processes}: one process at a time can open the chips of {self.ground.description}; use -n 1 or "
                "no -n, or --tt-backend sim"
            )

    def header(self, version: str) -> str:
        """The line of pytest's report header: every setting that matters, and where it came from."""
        ground, settings = self.ground, self.settings
        parts = [f"tt: {version}", f"backend {ground.backend} ({ground.why})"]
        if ground.system is not None:
            source = settings.system.source if settings.system.given else "detected"
            parts.append(f"system {ground.system} ({source})")
        parts.append(f"mesh {settings.mesh.value} ({settings.mesh.source})")
        parts.append(f"jax {package_version('jax') or 'not installed'}")
        if settings.require.value:
            parts.append(f"require ({settings.require.source})")
        if self.isolation is not None and self.isolation.note:
            parts.append(self.isolation.note)
        return ", ".join(parts)

    def begin_rows(self, rows: Sequence[Row]) -> None:
        """The tests have been collected; `rows` says all of them failed until they are seen to pass."""
        if self.notes is not None:
            self.notes.begin(rows)
        if self.collector is not None:
            self.collector.begin(rows)

    def tell_phase(self, nodeid: str, phase: str) -> None:
        """Leave a trace of how far a test has come, for the case that this process dies."""
        if self.notes is not None:
            self.notes.phase(nodeid, phase)
        if self.tell_parent is not None:
            self.tell_parent(nodeid, phase)

    def provide(self, runs: Sequence[TTRun]) -> None:
        """Have enough chips for the collected tests' `runs`. Call once, after collection.

        Raises pytest.UsageError where jax was started too early with too few chips that are in use.
        """
        self.in_use = bool(runs) or self.settings.wanted
        if self.in_use:
            when_imported("jax", self._set_platforms)
        if self.ground.backend == "sim":
            when_imported("jax", lambda: self._provide_simulated(runs))

    def _set_platforms(self) -> None:
        from pytest_tt.targets.platforms import set_host_devices, use_chips

        use_chips()
        set_host_devices()

    def _provide_simulated(self, runs: Sequence[TTRun]) -> None:
        from pytest_tt.targets.simulated import DEFAULT_CHIPS, ChipsInUseError

        # Tests that only call jax.devices("tt") say nothing of how many they need: the default is for them.
        least = self.settings.mesh.value.chips if self.settings.mesh.given else DEFAULT_CHIPS
        count = self.ground.chips or max([least, *(run.mesh.chips for run in runs if run.obstacle is None)])
        if self._simulated is None:
            if self.in_use:
                raise pytest.UsageError(self._unusable)
            return
        try:
            self._simulated.provide(count)
        except ChipsInUseError as error:
            raise pytest.UsageError(str(error)) from None

    def use_compile_cache(self, default: Callable[[], Path | None], invoked_in: Path) -> None:
        """Keep compiled programs of simulated chips on disk, by default in the directory that `default` makes."""
        chosen = self.settings.compile_cache.value
        if self.ground.backend != "sim" or not self.in_use or chosen == "off":
            return
        from pytest_tt.compiler.cache import CompileCache

        try:
            directory = default() if chosen is None else invoked_in / Path(chosen).expanduser()
            if directory is None:
                return
            cache = CompileCache(directory)
        except OSError as error:
            if chosen is None:
                return  # pytest's cache cannot be written; pytest itself says so
            raise pytest.UsageError(
                f"{self.settings.compile_cache.source}: {chosen} cannot be used ({error.strerror}): expected a "
                "directory that can be written, or off"
            ) from None
        self._compile_cache = cache
        when_imported("jax", lambda: cache.open(asked=chosen is not None))

    def hold_chips(self) -> None:
        """On hw: wait for the box's chips and hold them as long as this process lives.

        Raises pytest.UsageError when they do not come free in time.
        """
        if self.ground.backend != "hw" or _held or _lent:
            return
        from pytest_tt.targets.lock import ChipLock

        assert self._box is not None
        lock = ChipLock(self._box, timeout_s=self.settings.lock_timeout.value, say=self.say)
        try:
            lock.acquire()
        except OSError as error:  # TimeoutError too: the chips did not come free, or the lock cannot be used
            raise pytest.UsageError(str(error)) from None
        _held.append(lock)

    def may_isolate(self, isolation: Isolation) -> bool:
        """Whether another process can open the chips; raises pytest.UsageError if not, though it was asked for."""
        if self.ground.backend != "hw" or "jax" not in sys.modules:
            return True
        from pytest_tt.targets import jax_private

        if jax_private.client_of(PLATFORM) is None:
            return True
        why = "code that ran while tests were collected started jax, so this process has the chips"
        if isolation.asked:
            raise pytest.UsageError(f"tests cannot be isolated: {why}; move that code into a fixture")
        self.say(f"tt: isolate off: {why}")
        return False

    def become_child(self) -> None:
        """This process runs tests for one that holds the chips."""
        global _lent
        self.is_child = _lent = True

    def lend_chips(self, cache: Path | None) -> HeldChips | None:
        """On hw: hold the chips for other processes to open; this one leaves them alone from now on.

        `cache` is where compiled kernels are kept between runs. Raises pytest.UsageError as `hold_chips`.
        """
        if self.ground.backend != "hw":
            return None
        from pytest_tt.isolation.chips import HeldChips
        from pytest_tt.targets.platforms import use_host_only

        self.hold_chips()
        when_imported("jax", use_host_only)
        assert self._box is not None
        return HeldChips(self._box, _held[0].descriptors, self.settings.reset.value, cache)

    def keep_compiled(self) -> None:
        """Keep what was compiled so far."""
        if self._compile_cache is not None:
            self._compile_cache.keep()

    def forget_process(self, pid: int) -> None:
        """Remove what process `pid`, which ran tests for this one and is gone, left of its compile cache."""
        if self._compile_cache is not None:
            self._compile_cache.remove_working(pid)

    def close(self) -> None:
        """Keep what was compiled."""
        if self._compile_cache is not None:
            self._compile_cache.close()
            self._compile_cache = None


def _choose(settings: Settings) -> tuple[Ground, Box | None]:
    """Where to run, and on hw the box. Looks for cards only where that matters, and never opens one."""
    requested, system = settings.backend, settings.system.value
    if requested.value == "sim" or (requested.value == "auto" and not nodes_directory().is_dir()):
        return _simulated("auto: no card found" if requested.value == "auto" else requested.source, system), None
    from pytest_tt.targets import card, detection

    try:
        box = detection.detect()
        backend, why = card.choose(requested.value, box)
        if backend == "hw" and system is not None:
            card.expected_system(box, system)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    if backend == "sim":
        return _simulated(why, system), None
    if requested.value != "auto":
        why = why.replace("requested", requested.source, 1)
    return Ground("hw", why, box.system, box.chips, box.description), box


def _simulated(why: str, system: str | None) -> Ground:
    if system is None:
        return Ground("sim", why, None, None, "simulated chips")
    from pytest_tt.targets.systems import SYSTEMS

    return Ground("sim", why, system, SYSTEMS[system].chips, f"simulated {SYSTEMS[system].title}")
