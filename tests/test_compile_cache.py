"""The compilation cache: kept between runs, never torn, bounded."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pytest_tt.compiler.cache import prune, remove_stale

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    RunTT = Callable[..., pytest.RunResult]

SUITE = """
    import os

    import jax.numpy as jnp
    import numpy as np
    from jax import monitoring

    def test_x(tt_jit):
        events = []
        monitoring.register_event_listener(lambda event, **_: events.append(event))
        def deep(x):
            for _ in range(60):
                x = jnp.tanh(x @ x) + jnp.sort(x)
            return x
        tt_jit(deep)(np.eye(16, dtype=np.float32))
        print("hits", sum(event.endswith("/cache_hits") for event in events))
        if os.environ.get("DIE"):
            os._exit(3)
"""


def test_kept_between_runs(pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pytest's cache directory by default, in DIR, or not at all; a killed run adds nothing."""
    pytester.makepyfile(SUITE)

    def hits(*args: str) -> str:
        result = run_tt("-s", *args)
        return next(line for line in result.outlines if "hits" in line).partition("hits ")[2]

    monkeypatch.setenv("DIE", "1")
    assert hits() == "0"
    assert not list(pytester.path.glob(".pytest_cache/d/tt-compiled/*-cache"))
    monkeypatch.delenv("DIE")
    assert hits("--tt-compile-cache", "off") == "0"
    assert hits() == "0"
    assert list(pytester.path.glob(".pytest_cache/d/tt-compiled/*-cache"))
    assert hits() == "1"
    assert hits("--tt-compile-cache", "kept") == "0"
    assert hits("--tt-compile-cache", "kept") == "1"
    left = [path.name for path in (pytester.path / "kept").iterdir() if not path.name.endswith("-cache")]
    assert left == []


def test_a_place_told_to_jax_stays(pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(pytester.path / "mine"))
    pytester.makepyfile("import jax\ndef test_x(tt_jit): assert jax.config.jax_compilation_cache_dir.endswith('mine')")
    run_tt().assert_outcomes(passed=1)


def entry(directory: Path, name: str, size: int, age: float) -> Path:
    path = directory / f"{name}-cache"
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_oldest_entries_go_first(tmp_path: Path) -> None:
    old, newer, newest = (entry(tmp_path, name, 100, age) for name, age in [("a", 30), ("b", 20), ("c", 10)])
    other = tmp_path / "README"
    other.write_text("not ours", encoding="utf-8")
    prune(tmp_path, 300)
    assert old.exists()
    prune(tmp_path, 250)
    assert (old.exists(), newer.exists(), newest.exists()) == (False, True, True)
    prune(tmp_path, 0)
    assert list(tmp_path.iterdir()) == [other]


def test_directories_of_killed_runs_are_removed_after_a_day(tmp_path: Path) -> None:
    fresh, stale = tmp_path / "running-1-a", tmp_path / "running-2-b"
    fresh.mkdir()
    stale.mkdir()
    os.utime(stale, (time.time() - 90_000, time.time() - 90_000))
    remove_stale(tmp_path)
    assert (fresh.exists(), stale.exists()) == (True, False)


def test_two_runs_in_one_process(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    script = pytester.makepyfile(
        twice="""
        import pytest

        arguments = ["-q", "-s", "-p", "pytest_tt", "-W", "error", "test_two_runs_in_one_process.py"]
        assert [pytest.main(arguments), pytest.main(arguments)] == [0, 0]
        """
    )
    result = pytester.runpython(script)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*hits 0*"])
    assert not list(pytester.path.glob(".pytest_cache/d/tt-compiled/running-*"))


def test_goes_on_where_nothing_can_be_kept(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """pytest's own cache in a place that cannot be written is a warning of pytest's, and no trouble of ours."""
    (pytester.path / "file").touch()
    pytester.makepyfile("import numpy as np\ndef test_x(tt_jit): assert tt_jit(lambda x: x + 1)(np.ones(1)) == 2")
    result = run_tt("-o", "cache_dir=file/cache", "-W", "ignore::pytest.PytestCacheWarning")
    result.assert_outcomes(passed=1)
