"""A new kind of target: one file, and a line in the choice of targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    RunTT = Callable[..., pytest.RunResult]

HOST = '''
"""The host's own devices as a target."""

from dataclasses import dataclass

from pytest_tt.targets.choice import KINDS
from pytest_tt.targets.target import Target


@dataclass(frozen=True)
class HostTarget(Target):
    name = "host"
    title = "devices of the host"
    platform = "cpu"
    rounds_float32 = True

    @classmethod
    def for_request(cls, request):
        return cls(request.source, None, 8, "the host", request)

    def attach(self, say):
        self.allow_platform()


KINDS[HostTarget.name] = HostTarget
'''

TESTS = """
import numpy as np
import pytest
from pytest_tt.compare import compare

@pytest.mark.tt(mesh="2x2")
def test_host(tt_run, tt_mesh, tt_jit):
    assert (tt_run.backend, tt_run.sources["backend"]) == ("host", "--tt-backend")
    assert {device.platform for device in tt_mesh.devices.flat} == {"cpu"}
    y = np.asarray(tt_jit(lambda x: x * 2)(np.arange(4.0, dtype="float32")))
    assert compare({"y": y}, {"y": np.arange(4.0, dtype="float32") * np.float32(2.01)}, backend="host").passed

@pytest.mark.tt(mesh="4x4")
def test_too_big(tt_mesh):
    raise AssertionError("run")
"""


def test_new_kind(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """In under 40 lines: options, marker, mesh, tt_jit, bounds and the results document know it."""
    assert len(HOST.splitlines()) < 40
    pytester.makepyfile(host_target=HOST, test_it=TESTS)
    pytester.syspathinsert()
    options = ("-p", "host_target", "--tt-backend", "host", "-rs", "--tt-results", "results.json")
    result = run_tt(*options)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["tt: *, backend host (--tt-backend), mesh *", "*mesh 4x4 needs 16 chips, but the host has 8"]
    )
    assert '"backend": "host"' in (pytester.path / "results.json").read_text()
    result = run_tt("--tt-backend", "host")
    result.stderr.fnmatch_lines(["*'host' is not a backend: expected auto, sim, emu or hw"])


def test_kind_that_only_compiles(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """A program that is called is compiled, and the test skipped there; it has come to its execution."""
    pytester.makepyfile(
        host_target=HOST.replace("    rounds_float32 = True", "    executes = False"),
        test_it="""
        import numpy as np
        import pytest

        @pytest.mark.tt
        def test_compiled(tt_jit):
            program = tt_jit(lambda x: x + 1).compile(np.ones(3))
            assert program.collectives == {}

        @pytest.mark.tt
        def test_called(tt_jit):
            tt_jit(lambda x: x + 1)(np.ones(3))
            raise AssertionError("executed")
        """,
    )
    pytester.syspathinsert()
    result = run_tt("-p", "host_target", "--tt-backend", "host", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *<lambda> is compiled: devices of the host do not execute it"])
