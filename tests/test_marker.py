"""The tt marker: what it accepts, what it says of mistakes, and one run a mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tt.marker import TTMarker, read_marker
from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]


def read(*marks: pytest.MarkDecorator) -> TTMarker | None:
    return read_marker([mark.mark for mark in marks], "test_a.py::test_b")


def test_everything_is_read() -> None:
    marker = read(
        pytest.mark.tt(mesh="1x8", axes=["x", "y"], system=["t3k", "lb-blackhole"], options={"enable_trace": True})
    )
    assert marker == TTMarker(
        mesh=(MeshShape(1, 8),), axes=("x", "y"), system=("t3k", "lb-blackhole"), options={"enable_trace": "true"}
    )
    assert read() is None
    assert read(pytest.mark.tt) == TTMarker()


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (pytest.mark.tt("1x8"), "the tt marker takes keywords only, got '1x8'; write e.g. @pytest.mark.tt(mesh='1x8')"),
        (pytest.mark.tt(msh="1x8"), "the tt marker has no keyword 'msh'; accepted are mesh, axes, system, options"),
        (pytest.mark.tt(mesh="1by8"), "tt marker: mesh: '1by8' is not a mesh: expected ROWSxCOLS"),
        (pytest.mark.tt(mesh=8), 'tt marker: mesh: 8 is neither a mesh such as "1x8" nor a list'),
        (pytest.mark.tt(mesh=(1, 8)), 'tt marker: mesh: (1, 8) is not a mesh: write "1x8"'),
        (pytest.mark.tt(mesh=[]), "tt marker: mesh: [] is neither a mesh"),
        (pytest.mark.tt(mesh=["1x2", "1x2"]), "tt marker: mesh: 1x2 is listed twice"),
        (pytest.mark.tt(axes=("x",)), "tt marker: axes: ('x',) is not two different axis names"),
        (pytest.mark.tt(axes=("x", "x")), "tt marker: axes: ('x', 'x') is not two different axis names"),
        (pytest.mark.tt(system="n33"), "tt marker: system: "),
        (pytest.mark.tt(options=["enable_trace"]), "tt marker: options: ['enable_trace'] is not a dict"),
        (pytest.mark.tt(options={"enable_optimizer": True}), "tt marker: options: "),
    ],
)
def test_mistakes_name_test_and_form(mark: pytest.MarkDecorator, message: str) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        read(mark)
    assert str(caught.value).startswith("test_a.py::test_b: " + message)


def test_a_mistake_stops_the_run_with_one_line(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.tt('1x8')\ndef test_x(): pass\n")
    result = run_tt()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: test_a_mistake*::test_x: the tt marker takes keywords only, got '1x8'*"])


def test_a_mistake_is_told_under_xdist_too(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile("import pytest\n@pytest.mark.tt('1x8')\ndef test_x(): pass\n")
    result = run_tt("-n", "2")
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(["*::test_x: the tt marker takes keywords only, got '1x8'*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


MESHES = """
    import pytest

    @pytest.mark.tt(mesh=["1x2", "1x4"])
    @pytest.mark.parametrize("n", [1, 2])
    def test_several(n, tt_mesh):
        pass

    @pytest.mark.tt(mesh=["1x2", "1x4"])
    def test_without_fixture():
        pass

    @pytest.mark.tt(mesh="1x8")
    def test_pinned(tt_mesh):
        assert tt_mesh.devices.size == 8

    def test_unpinned(tt_mesh):
        pass
"""


def test_one_run_a_mesh(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(test_m=MESHES)
    result = run_tt("-v")
    result.assert_outcomes(passed=8)
    names = [line.split()[0].split("::")[1] for line in result.outlines if line.startswith("test_m.py::")]
    assert sorted(names) == sorted(
        [
            *(f"test_several[{mesh}-{n}]" for mesh in ("1x2", "1x4") for n in (1, 2)),
            "test_without_fixture[1x2]",
            "test_without_fixture[1x4]",
            "test_pinned",
            "test_unpinned",
        ]
    )


def test_tt_mesh_picks_one_of_several_where_it_is_listed(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(test_m=MESHES)
    result = run_tt("--collect-only", "-q", "--tt-mesh", "1x4")
    assert [line for line in result.outlines if "without" in line] == ["test_m.py::test_without_fixture[1x4]"]
    result = run_tt("--collect-only", "-q", "--tt-mesh", "1x1")
    assert len([line for line in result.outlines if "without" in line]) == 2


def test_systems(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.tt(mesh="1x8", system=["n300", "t3k"])
        def test_fits_the_second(tt_run):
            assert tt_run.system == "t3k" and tt_run.sources["system"] == "marker"

        @pytest.mark.tt(mesh="1x8", system="n300")
        def test_never_fits(tt_mesh):
            pass
        """
    )
    result = run_tt("-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*mesh 1x8 needs 8 chips, but simulated n300 has 2"])
    result = run_tt("-rs", "--tt-system", "p150")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*meant for n300 or t3k, but this run is on p150"])
    result = run_tt("--tt-system", "p150", "--tt-require")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_unittest_methods_take_one_mesh(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import unittest
        import pytest

        class Test(unittest.TestCase):
            @pytest.mark.tt(mesh=["1x2", "1x4"])
            def test_x(self): pass
        """
    )
    result = run_tt()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*::Test::test_x: the tt marker lists several meshes*name one mesh"])


def test_markers_where_pytest_does_not_look(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    text = "import pytest\npytestmark = [pytest.mark.tt(mesh='1x2')]\n"
    pytester.makepyfile(**{"pkg/__init__": text, "pkg/test_a": "def test_a(): pass", "test_b": "def test_b(): pass"})
    run_tt("test_b.py").assert_outcomes(passed=1)
    result = run_tt()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *__init__.py: pytest ignores pytestmark in conftest.py and __init__.py: write*"]
    )
    pytester.makeconftest(text)
    result = run_tt("test_b.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *conftest.py: pytest ignores pytestmark in conftest.py*--tt-mesh"])


def test_marker_that_comes_too_late_fails_the_test(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def late(request):
            request.applymarker(pytest.mark.tt(mesh="1x8"))

        def test_x(late, tt_mesh): pass
        """
    )
    result = run_tt()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["the test got a tt marker during its setup, which is too late for its mesh: write the marker at*"]
    )
