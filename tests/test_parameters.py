"""Parameters of the plugin's fixtures: a mesh is honoured wherever it comes from, all else is refused."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase as fnmatch
from typing import TYPE_CHECKING

import pytest

from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]


def test_forms_of_a_mesh() -> None:
    import numpy as np

    for value in ("1x2", (1, 2), [1, 2], (np.int64(1), np.int32(2)), MeshShape(1, 2)):
        assert MeshShape.of(value) == MeshShape(1, 2)
    for value in (8, (1,), (1, 2, 3), (1.0, 2), (True, 2), None, {"rows": 1}, "1by2", (0, 2)):
        with pytest.raises(ValueError, match="is not a mesh: expected"):
            MeshShape.of(value)


HONOURED = """
import jax
import pytest

MESHES = pytest.mark.parametrize("tt_mesh", [(1, 2), (2, 4)], indirect=True)

@MESHES
def test_tuples(tt_mesh, tt_run, request):
    assert f"[{tt_run.mesh}]" in request.node.name and tt_run.sources["mesh"] == "parameter"
    assert tt_mesh.devices.shape == (tt_run.mesh.rows, tt_run.mesh.cols)
    assert tt_mesh.axis_names == ("batch", "model")

@pytest.mark.tt(axes=("x", "y"))
@pytest.mark.parametrize(
    ("n", "tt_mesh"),
    [(1, [1, 2]), (2, "2x2"), pytest.param(3, (1, 16), id="wide"), pytest.param(4, (1, 1), marks=pytest.mark.skip)],
    indirect=["tt_mesh"],
)
def test_mixed(n, tt_mesh, tt_jit):
    assert tt_mesh.shape == {1: {"x": 1, "y": 2}, 2: {"x": 2, "y": 2}, 3: {"x": 1, "y": 16}}[n]
    assert tt_jit(lambda x: x + 1)(n) == n + 1

@pytest.mark.parametrize("tt_device", [(1, 2)], indirect=True)
def test_device(tt_device, tt_mesh):
    assert tt_device is tt_mesh.devices[0, 0] and tt_mesh.devices.shape == (1, 2)

@MESHES
@pytest.mark.tt(mesh="1x8")
class TestClass:
    def test_method(self, tt_mesh):
        assert tt_mesh.devices.size in (2, 8)

@pytest.mark.tt(mesh=["1x2", "2x4"])
@MESHES
def test_in_both_places(tt_mesh):
    pass

@pytest.mark.parametrize("tt_mesh", [(1, 4), "not a mesh"])
def test_direct(tt_mesh, tt_run):
    "pytest hands the value itself to the test; the row has the right mesh where it is one"
    assert tt_mesh == "not a mesh" or (tt_mesh, tt_run.mesh.chips) == ((1, 4), 4)

class TestOwn:
    "fixtures of the user's own with these names, on top of ours, keep their parameters"
    @pytest.fixture(params=["float32"])
    def tt_jit(self, tt_jit, request):
        return tt_jit, request.param

    @pytest.fixture(params=[(1, 2), (1, 4)])
    def tt_mesh(self, tt_mesh, request):
        assert tt_mesh.devices.shape == request.param
        return tt_mesh

    def test_own(self, tt_jit, tt_mesh):
        assert tt_jit[1] == "float32" and tt_mesh.devices.shape[0] == 1
"""

NAMES = [
    *(f"{name}[{mesh}]" for name in ("test_tuples", "TestClass::test_method", "test_in_both_places")
      for mesh in ("1x2", "2x4")),
    "test_mixed[1-1x2]", "test_mixed[2-2x2]", "test_mixed[wide]", "test_mixed[4-1x1]", "test_device[1x2]",
    "test_direct[1x4]", "test_direct[not a mesh]", "TestOwn::test_own[float32-1x2]", "TestOwn::test_own[float32-1x4]",
]  # fmt: skip


@pytest.mark.parametrize("arguments", [(), ("-n", "2"), ("--tt-isolate",)], ids=lambda arguments: "".join(arguments))
def test_meshes_are_honoured(pytester: pytest.Pytester, run_tt: RunTT, arguments: tuple[str, ...]) -> None:
    if "-n" in arguments:
        pytest.importorskip("xdist")
    pytester.makepyfile(test_p=HONOURED)
    run_tt("--tt-results", "r.json", *arguments).assert_outcomes(passed=14, skipped=1)
    meshes = {row["nodeid"]: row["mesh"] for row in json.loads((pytester.path / "r.json").read_text())["tests"]}
    assert {nodeid.removeprefix("test_p.py::") for nodeid in meshes} == set(NAMES)
    assert all(f"{mesh}]" in nodeid for nodeid, mesh in meshes.items() if "wide" not in nodeid and " " not in nodeid)
    assert meshes["test_p.py::test_mixed[wide]"] == "1x16"


def test_tt_mesh_picks_one_where_it_is_listed(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(test_p=HONOURED)
    result = run_tt("--collect-only", "-q", "--tt-mesh", "2x4")
    shown = {line.removeprefix("test_p.py::") for line in result.outlines if line.startswith("test_p.py")}
    listing = {"test_tuples[1x2]", "TestClass::test_method[1x2]", "test_in_both_places[1x2]"}
    assert shown == set(NAMES) - listing
    result.stdout.fnmatch_lines(["12/15 tests collected (3 deselected) in *"])


# Source of a test -> what is said of it.
REFUSED = {
    "@given('tt_mesh', 8)\ndef test_number(tt_mesh): pass": (
        'test_number?8?: parameter of tt_mesh: 8 is not a mesh: expected "1x2" or (1, 2), as in @pytest.mark.param*'
        'indirect=True); or write the marker, @pytest.mark.tt(mesh=?"1x2", "2x4"?)'
    ),
    "@given('tt_device', 3)\ndef test_device(tt_device): pass": "*than the first use tt_mesh.devices.flat?i?",
    "@given('tt_mesh', (0, 2))\ndef test_zero(tt_mesh): pass": "*: (0, 2) is not a mesh: expected*",
    "@given('tt_mesh', (8, 400))\ndef test_many(tt_mesh): pass": "*: mesh 8x400 has 3200 chips: at most 512*",
    "@given('tt_mesh', (1, 2))\n@pytest.mark.tt(mesh='1x8')\ndef test_marker(tt_mesh): pass": (
        "test_marker?1x2?: its tt marker says mesh 1x8, its parameter 1x2: name the mesh in one place"
    ),
    "@given('tt_mesh', (1, 2))\n@given('tt_device', (1, 4))\ndef test_two(tt_mesh, tt_device): pass": (
        "*: the parameters give it different meshes (*tt_mesh 1x2*): give one"
    ),
    "@given('tt_jit', {'enable_trace': True})\ndef test_jit(tt_jit): pass": (
        "test_jit*: tt_jit takes no parameter, got {'enable_trace': True}: compiler options are given by*"
    ),
    "@given('tt_golden', 'a')\ndef test_golden(tt_golden): pass": "*tt_golden takes no parameter, got 'a'*",
    "@given('tt_run', '1x2')\ndef test_run(tt_run): pass": "*tt_run takes no parameter, got '1x2'*",
    "@given('cpu_init_params', 1)\ndef test_params(cpu_init_params): pass": "*cpu_init_params takes no parameter*",
    "@given('tt_mesh', (1, 2))\ndef test_shared(tt_mesh, tt_shared_mesh): pass": (
        "test_shared?1x2?: tt_shared_mesh does not see where its mesh is given: give it by the tt marker of *"
    ),
    "@pytest.mark.parametrize('n', [pytest.param(1, marks=pytest.mark.tt(mesh='1x4'))])\n"
    "def test_shared_by_mark(n, tt_shared_mesh): pass": (
        "test_shared_by_mark?1?: tt_shared_mesh does not see where its mesh is given*"
    ),
    "@pytest.mark.usefixtures('tt_shared_mesh')\nclass TestX(unittest.TestCase):\n    def test_method(self): pass": (
        "TestX::test_method: only test functions and methods of plain classes can use tt_shared_mesh; in others, call "
        'pytest_tt.open_chips("1x1").mesh'
    ),
}
GIVEN = """
import unittest
import pytest

def given(name, value):
    return pytest.mark.parametrize(name, [value], indirect=True)
"""


def test_what_cannot_be_honoured_is_a_usage_error(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    source = GIVEN + "\n" + next(iter(REFUSED))
    pytester.makepyfile(test_p=source)
    result = run_tt()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: test_p.py::test_number?8?: parameter of tt_mesh: 8 is not a mesh*"])
    assert len([line for line in result.errlines if line]) == 1


def test_every_refusal(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """All in one run: the first would end it."""
    pytester.makeconftest(
        """
        import pytest
        from pytest_tt.items import run_of

        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_modifyitems(items):
            for item in items:
                with pytest.raises(pytest.UsageError) as caught:
                    run_of(item)
                print(caught.value)
            items.clear()
        """
    )
    pytester.makepyfile(test_p="\n\n".join([GIVEN, *REFUSED]))
    result = run_tt("-s")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    said = [line.removeprefix("test_p.py::") for line in result.outlines if line.startswith("test_p.py::")]
    assert len(said) == len(REFUSED)
    for message in REFUSED.values():
        assert any(fnmatch(line, message) for line in said), message


def test_parameters_that_only_show_in_the_test(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """Given by a hook: whether they are for a fixture of ours shows when it is set up."""
    pytester.makeconftest(
        """
        def pytest_generate_tests(metafunc):
            for name, values in {"tt_device": [(1, 2), "huge"], "tt_jit": [1]}.items():
                if name in metafunc.fixturenames:
                    metafunc.parametrize(name, values, indirect=True)
        """
    )
    pytester.makepyfile("def test_mesh(tt_device, tt_run): assert tt_run.mesh.chips == 2\ndef test_jit(tt_jit): pass")
    result = run_tt()
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        ["parameter of tt_device: 'huge' is not a mesh: *", "tt_jit takes no parameter, got 1: *"]
    )


def test_meshes_listed_twice(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makeconftest(
        """
        def pytest_generate_tests(metafunc):
            metafunc.parametrize("tt_mesh", [(1, 2)], indirect=True)
        """
    )
    pytester.makepyfile("import pytest\n@pytest.mark.tt(mesh=['1x2', '1x4'])\ndef test_x(tt_mesh): pass")
    result = run_tt()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *its meshes are listed by the tt marker and by a parameter: list them in one*"]
    )
