"""Options, environment, ini: which wins, what the header says, and what a bad value says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tt.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]


@pytest.mark.parametrize(
    ("args", "env", "ini", "shown"),
    [
        ((), None, None, "mesh 1x1 (default)"),
        ((), None, "1x2", "mesh 1x2 (ini tt_mesh)"),
        ((), "1x4", "1x2", "mesh 1x4 (PYTEST_TT_MESH)"),
        (("--tt-mesh", "1x8"), "1x4", "1x2", "mesh 1x8 (--tt-mesh)"),
        ((), "", "1x2", "mesh 1x2 (ini tt_mesh)"),
    ],
    ids=["default", "ini", "env", "option", "empty-env"],
)
def test_precedence(
    pytester: pytest.Pytester,
    run_tt: RunTT,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    env: str | None,
    ini: str | None,
    shown: str,
) -> None:
    if ini is not None:
        pytester.makeini(f"[pytest]\ntt_mesh = {ini}")
    if env is not None:
        monkeypatch.setenv("PYTEST_TT_MESH", env)
    pytester.makepyfile("def test_run(tt_run): print(f'-{tt_run.mesh} from {tt_run.sources[\"mesh\"]}-')")
    result = run_tt("-s", *args)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"tt: 0.1.0, backend sim (auto: no card found), {shown}, jax *"])
    mesh, source = shown.removeprefix("mesh ").rstrip(")").split(" (")
    result.stdout.fnmatch_lines([f"*-{mesh} from {source}-*"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--tt-mesh", "2by4"), "*argument --tt-mesh: '2by4' is not a mesh: expected ROWSxCOLS*e.g. 1x8*"),
        (("--tt-backend", "gpu"), "*argument --tt-backend: 'gpu' is not a backend: expected auto, sim, emu or hw*"),
        (("--tt-system", "n30"), "*argument --tt-system: *n30*n300*"),
        (("--tt-compiler-option", "optimisation_level=1"), "*argument --tt-compiler-option: *optimization_level*"),
        (("--tt-compiler-option", "enable_trace=perhaps"), "*argument --tt-compiler-option: *perhaps*"),
        (("--tt-compiler-option", "enable_trace"), "*argument --tt-compiler-option: *KEY=VALUE*"),
        (("--tt-lock-timeout", "soon"), "*argument --tt-lock-timeout: 'soon' is not a time: expected seconds*"),
    ],
)
def test_bad_option_is_one_clear_line(run_tt: RunTT, args: tuple[str, ...], message: str) -> None:
    result = run_tt(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("env", "ini", "message"),
    [
        ({"PYTEST_TT_MESH": "banana"}, "", "*PYTEST_TT_MESH: 'banana' is not a mesh*"),
        ({"PYTEST_TT_REQUIRE": "perhaps"}, "", "*PYTEST_TT_REQUIRE: 'perhaps' is neither true nor false*"),
        ({"PYTEST_TT_MEHS": "1x2"}, "", "*PYTEST_TT_MEHS is not a setting*(did you mean PYTEST_TT_MESH?)*unset it*"),
        ({}, "tt_system = t4k", "*ini tt_system: *t4k*t3k*"),
        ({}, "tt_compiler_option = enable_trace=true x=1", "*ini tt_compiler_option: *x*"),
    ],
)
def test_bad_env_or_ini_names_its_place(
    pytester: pytest.Pytester,
    run_tt: RunTT,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    ini: str,
    message: str,
) -> None:
    pytester.makeini(f"[pytest]\n{ini}")
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    result = run_tt()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_options_merge_with_the_marker(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makeini("[pytest]\ntt_require = true")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.tt(mesh="1x2", axes=("x", "y"), options={"optimization_level": 2})
        def test_marker(tt_run, tt_mesh):
            assert dict(tt_run.options) == {"optimization_level": "2", "enable_trace": "true"}
            assert tt_run.sources["options"] == tt_run.sources["mesh"] == "marker"
            assert tt_mesh.axis_names == ("x", "y")

        @pytest.mark.tt(axes=("x", "y"))
        class TestClass:
            @pytest.mark.tt(mesh="1x4")
            def test_closest_wins_key_by_key(self, tt_mesh):
                assert dict(tt_mesh.shape) == {"x": 1, "y": 4}

            @pytest.mark.tt(mesh="1x4")
            @pytest.mark.parametrize("n", [pytest.param(2, marks=pytest.mark.tt(mesh="1x2"))])
            def test_parameter_is_closest(self, tt_mesh, n):
                assert tt_mesh.devices.size == n

        def test_command_line(tt_run, tt_mesh):
            assert dict(tt_run.options) == {"optimization_level": "1", "enable_trace": "true"}
            assert tt_run.sources["options"] == "--tt-compiler-option"
            assert (tt_run.backend, tt_run.system, str(tt_run.mesh)) == ("sim", "n300", "1x2")
            assert tt_mesh.axis_names == ("batch", "model")
        """
    )
    result = run_tt(
        *("--tt-compiler-option", "optimization_level=1", "--tt-compiler-option", "enable_trace=true"),
        *("--tt-backend", "sim", "--tt-system", "n300", "--tt-mesh", "1x2"),
    )
    # The 1x4 mesh does not fit the simulated n300, and tt_require turns that into a failure.
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "tt: 0.1.0, backend sim (--tt-backend), system n300 (--tt-system), mesh 1x2 (--tt-mesh), "
            "*require (ini tt_require)"
        ]
    )
    result.stdout.fnmatch_lines(["*mesh 1x4 needs 4 chips, but simulated n300 has 2 (--tt-require)*"])


def test_help_lists_every_option_and_ini(run_tt: RunTT) -> None:
    result = run_tt("--help")
    assert result.ret == 0
    text = result.stdout.str()
    for option in OPTIONS:
        assert option.flag in text
        assert f"  {option.ini} (" in text


def test_golden_update_is_refused_in_ci(run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = run_tt("--tt-golden-update")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--tt-golden-update is refused because CI is set*"])
