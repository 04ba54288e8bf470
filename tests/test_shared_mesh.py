"""A mesh for fixtures of wider scope: set up once for the tests that agree, anew for those that don't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

SHARED = """
import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P

LOADED = []

@pytest.fixture(scope="SCOPE")
def weights(tt_shared_mesh):
    LOADED.append(tt_shared_mesh)
    rows, columns = tt_shared_mesh.axis_names
    return jax.device_put(np.ones((8, 8), np.float32), NamedSharding(tt_shared_mesh, P(rows, columns)))

@pytest.mark.tt(mesh="1x2")
class TestOne:
    def test_first(self, weights, tt_mesh, tt_jit):
        assert weights.sharding.mesh == tt_mesh
        assert tt_jit(lambda w: w.sum())(weights) == 64

    def test_second(self, weights, tt_shared_mesh, tt_mesh):
        assert len(LOADED) == 1 and tt_shared_mesh == LOADED[0] == tt_mesh
        assert len(weights.devices()) == 2

@pytest.mark.tt(mesh=["1x2", "2x4"])
@pytest.mark.parametrize("n", [1, 2])
def test_several(weights, tt_mesh, n):
    assert weights.sharding.mesh == tt_mesh == LOADED[-1]

@pytest.mark.tt(mesh="1x2", axes=("x", "y"))
def test_other_axes(weights, tt_mesh):
    assert tt_mesh.axis_names == ("x", "y") and weights.sharding.mesh == tt_mesh

def test_default(weights, tt_mesh, tt_run):
    assert weights.sharding.mesh == tt_mesh and tt_run.sources["mesh"] == "default"

@pytest.mark.parametrize("tt_shared_mesh", [(1, 4), (1, 2)], indirect=True)
def test_parameter(weights, tt_mesh, tt_run):
    assert weights.sharding.mesh == tt_mesh and tt_run.sources["mesh"] == "parameter"

def test_loaded_no_more_often_than_needed():
    assert len(LOADED) <= 8, LOADED
"""


@pytest.mark.parametrize("scope", ["module", "session"])
def test_shared_by_tests_that_agree(scope: str, pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(test_s=SHARED.replace("SCOPE", scope))
    result = run_tt("-v", *(["--tt-isolate"] if scope == "session" else []))
    result.assert_outcomes(passed=11)
    names = {line.split()[0].removeprefix("test_s.py::") for line in result.outlines if "PASSED" in line}
    assert {"TestOne::test_first", "test_several[1x2-1]", "test_default", "test_parameter[1x4]"} <= names


def test_scope_mismatch_says_what_to_use(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module")
        def weights(tt_mesh): pass

        def test_x(weights): pass

        def test_dynamic(request):
            request.getfixturevalue("tt_shared_mesh")
        """
    )
    result = run_tt()
    result.assert_outcomes(errors=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*ScopeMismatch: *fixture tt_mesh with a module scoped request object*",
            "*A fixture that several tests share takes tt_shared_mesh instead of tt_mesh*docs/write_a_test.md*",
            "tt_shared_mesh must be an argument of the test or of a fixture that it uses*",
        ]
    )
