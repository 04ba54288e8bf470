"""The plugin's fixtures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.items import (
    MESH_PARAMETER,
    STATUS_BOUNDS,
    STATUS_COMPILE_SKIPS,
    STATUS_REFUSALS,
    find_recorder,
    late_marker,
    recorder_of,
    run_of,
    session_of,
)
from pytest_tt.parameters import SHARED_MESH, TAKE_A_MESH, TAKE_NONE, check_request
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.tt_compiler.build import CompilerMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import jax
    from jax.sharding import Mesh

    from pytest_tt.compiler.card_check import CardCheck
    from pytest_tt.compiler.tt_compile import TTCompile
    from pytest_tt.compiler.tt_jit import TTJit
    from pytest_tt.golden import GoldenChecker
    from pytest_tt.run import TTRun
    from pytest_tt.targets.target import Target

# Goldens that this run has recorded so far.
_RECORDED: pytest.StashKey[set[Path]] = pytest.StashKey()

FIXTURES = frozenset({*TAKE_A_MESH, *TAKE_NONE})


@pytest.fixture
def tt_run(request: pytest.FixtureRequest) -> TTRun:
    """Resolved settings of this test: backend, system, mesh, axes, options, and where each came from."""
    __tracebackhide__ = True
    check_request(request)
    run = run_of(request.node)
    problem = late_marker(request.node)
    if problem is not None:
        pytest.fail(problem, pytrace=False)
    if find_recorder(request.node) is None:
        # Requested at run time (request.getfixturevalue), which collection cannot see.
        from pytest_tt.run_hooks import install_run_hooks

        install_run_hooks(request.config)
        recorder_of(request.node)
        if run.obstacle is not None:
            if session_of(request.config).settings.require.value:
                pytest.fail(f"{run.obstacle} (--tt-require)", pytrace=False)
            pytest.skip(run.obstacle)
    return run


@pytest.fixture
def tt_mesh(request: pytest.FixtureRequest, tt_run: TTRun) -> Mesh:
    """jax.sharding.Mesh of this test's chips, axes ("batch", "model") unless the marker names others."""
    check_request(request)
    devices = _chips(tt_run.mesh, session_of(request.config).target)
    from pytest_tt.targets.mesh import build_mesh

    return build_mesh(tt_run.mesh, tt_run.axes, devices)


@pytest.fixture(name=MESH_PARAMETER, scope="session")
def mesh_parameter(request: pytest.FixtureRequest) -> tuple[MeshShape | None, tuple[str, str]] | None:
    """For internal use, see MESH_PARAMETER."""
    return getattr(request, "param", None)


@pytest.fixture(scope="session")
def tt_shared_mesh(request: pytest.FixtureRequest, _tt_mesh: tuple[MeshShape | None, tuple[str, str]] | None) -> Mesh:
    """Like tt_mesh, for fixtures of any scope that tests share: set up again when the tests' mesh changes."""
    if _tt_mesh is None:
        pytest.fail(
            f"{SHARED_MESH} must be an argument of the test or of a fixture that it uses: request.getfixturevalue "
            "cannot request it",
            pytrace=False,
        )
    shape, axes = _tt_mesh
    shape = MeshShape.of(request.param) if shape is None else shape
    devices = _chips(shape, session_of(request.config).target)
    from pytest_tt.targets.mesh import build_mesh

    return build_mesh(shape, axes, devices)


@pytest.fixture
def tt_device(request: pytest.FixtureRequest, tt_mesh: Mesh) -> jax.Device:
    """The first chip of this test's mesh."""
    check_request(request)
    device: jax.Device = tt_mesh.devices.flat[0]
    return device


@pytest.fixture
def tt_jit(request: pytest.FixtureRequest, tt_run: TTRun, tt_mesh: Mesh) -> TTJit:
    """jax.jit for this test's chips and compiler options; records times, bytes per chip and collectives."""
    check_request(request)
    from pytest_tt.compiler.artifacts import artifacts_of
    from pytest_tt.compiler.tt_jit import TTJit

    root = session_of(request.config).artifacts
    directory = None if root is None else artifacts_of(root, request.node.nodeid)
    session, recorder = session_of(request.config), recorder_of(request.node)
    check = _card_check(request.node, tt_run)
    emulation = None
    if session.target.emulates and check is not None and tt_run.system is not None:
        from pytest_tt.compiler.emulation import Emulation

        emulation = Emulation(check, tt_run.system, session.settings.explain.value, session.exports())
    return TTJit(tt_run, tt_mesh, recorder, directory, session.target, check, emulation)


@pytest.fixture
def tt_compile(request: pytest.FixtureRequest, tt_run: TTRun, tt_mesh: Mesh) -> TTCompile:
    """Compiles a function for this test's mesh by TT's compiler, without a card, from shapes alone: a CardProgram."""
    check_request(request)
    session = session_of(request.config)
    problem = None
    try:
        compiler = session.card_compiler()
    except CompilerMissing as error:
        problem = str(error)
    if problem is not None:
        if session.settings.require.value:
            pytest.fail(f"{problem} (--tt-require)", pytrace=False)
        pytest.skip(problem)
    from pytest_tt.compiler.tt_compile import TTCompile

    return TTCompile(tt_run, tt_mesh, compiler, recorder_of(request.node), session.target)


@pytest.fixture
def tt_golden(request: pytest.FixtureRequest, tt_run: TTRun) -> GoldenChecker:
    """Compares outputs with this test's golden: golden/<case>.safetensors, in the directory of the test file."""
    check_request(request)
    from pytest_tt.golden import GoldenChecker

    node = request.node
    return GoldenChecker(
        directory=node.path.parent / "golden",
        default_case=".".join(filter(None, (node.cls and node.cls.__name__, node.originalname or node.name))),
        backend=tt_run.backend,
        update=session_of(request.config).settings.golden_update.value,
        record=recorder_of(node).record,
        recorded=request.config.stash.setdefault(_RECORDED, set()),
        status=node.stash.get(STATUS_BOUNDS, None),
    )


@pytest.fixture
def cpu_init_params(request: pytest.FixtureRequest, tt_mesh: Mesh) -> Callable[..., Any]:
    """(module, *inputs, rng=0, shardings=None): initialise parameters on the host, then place them on the mesh."""
    check_request(request)
    import jax

    from pytest_tt.compiler.memory import TTMemoryError
    from pytest_tt.params.init import init_params
    from pytest_tt.params.sharding import ParamsError

    host = jax.devices("cpu")[0]

    def init(module: Any, *inputs: Any, rng: Any = 0, shardings: Any = None) -> Any:
        __tracebackhide__ = True
        try:
            return init_params(module, *inputs, mesh=tt_mesh, host=host, rng=rng, shardings=shardings)
        except (ParamsError, TTMemoryError) as error:
            problem = str(error)
        pytest.fail(problem, pytrace=False)

    return init


def _card_check(node: pytest.Item, run: TTRun) -> CardCheck | None:
    """What ``--tt-compile``, or emulation, asks of the test's programs; None for nothing."""
    __tracebackhide__ = True
    session = session_of(node.config)
    if run.not_compiled and not run.compile and session.settings.require.value:
        reasons = "; ".join(f"{system}: {reason}" for system, reason in run.not_compiled.items())
        pytest.fail(f"{run.sources['compile']}: not compiled for {reasons} (--tt-require)", pytrace=False)
    left_out = node.stash.get(STATUS_COMPILE_SKIPS, {})
    if run.not_compiled or left_out:
        recorder_of(node).not_compiled({**run.not_compiled, **left_out})
    systems = [system for system in run.compile if system not in left_out]
    if not systems:
        return None
    # Now, and not when the first program is lowered for TT's compiler: in jax 0.12 it adds settings that jax traces by,
    # so that a second call would be traced and compiled again.
    import jax.extend  # noqa: F401

    from pytest_tt.compiler.card_check import CardCheck

    return CardCheck(
        compiler=session.card_compiler(),
        systems=systems,
        mesh=str(run.mesh),
        expected=node.stash.get(STATUS_REFUSALS, frozenset()),
        upstream=session.settings.compile_upstream.value,
        mock=frozenset(session.settings.compile.value if session.settings.mock.value else ()),
        recorder=recorder_of(node),
    )


def _chips(shape: MeshShape, target: Target) -> Sequence[jax.Device]:
    """The run's chips, at least as many as `shape` needs; fails the test if there are fewer."""
    __tracebackhide__ = True
    problem = None
    try:
        devices = target.devices()
    except ImportError as error:
        problem = f"this test needs jax, which cannot be imported here ({error}): pip install jax"
    except RuntimeError as error:
        problem = f"jax could not start the chips ({target.name}): {error}"
    if problem is not None:
        pytest.fail(problem, pytrace=False)
    if len(devices) < shape.chips:
        hint = f" (JAX_PLATFORMS={os.environ['JAX_PLATFORMS']})" if "JAX_PLATFORMS" in os.environ else ""
        pytest.fail(
            f"mesh {shape} needs {shape.chips} chips, but jax has {len(devices)} on platform {target.platform}{hint}",
            pytrace=False,
        )
    return devices
