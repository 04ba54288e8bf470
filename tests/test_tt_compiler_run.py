"""Test runs whose compiler crashes, hangs and prints: the program fails by name, and the others pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("flatbuffers", reason="the extra compiler is not installed")

CONFTEST = f"""
import sys
from pathlib import Path

sys.path.insert(0, {str(Path(__file__).parent)!r})
import fake_compiler

fake_compiler.install(Path(__file__).parent)
"""

INNER = """
import numpy as np
import pytest


def program(name):
    def function(x):
        return x + 1
    function.__name__ = name
    return function


@pytest.mark.parametrize("name", ["good", "aborts", "fine", "hangs", "well", "garbage", "last"])
def test(name, tt_jit):
    assert tt_jit(program(name))(np.float32([1, 2])).tolist() == [2, 3]
"""


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_compiler_that_crashes_hangs_and_prints(
    pytester: pytest.Pytester,
    run_tt: Callable[..., pytest.RunResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: tuple[str, ...],
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_inner=INNER)
    arguments = ("--tt-backend", "sim", "--tt-compile", "p150", "--tt-timeout", "3", "test_inner.py")
    for _ in range(2):
        result = run_tt(*workers, *arguments)
        result.assert_outcomes(passed=4, failed=3)
        result.stdout.fnmatch_lines_random(
            [
                "*aborts: the compiler crashed (signal SIGABRT)*",
                "*hangs: the compiler did not end within 3 s, and was killed*",
                "*garbage: what it gave is not a program: no TTSERv00 in 10240 bytes*",
            ]
        )
        output = result.stdout.str() + result.stderr.str()
        assert "printed while loading" not in output
        assert "\x00\x01\x02" not in output
    assert list(temporary.glob("pytest-tt-compiler-*")) == []
