"""What TT's compiler is known to compute wrongly, by recorded programs of it: docs/compiler_faults.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.emulated import DIFFERS, EQUAL, Emulated
from benchmarks.emulated import REFUSED as NOT_RUN
from benchmarks.verdicts import REFUSED, Record

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs/compiler_faults.md").read_text(encoding="utf-8")
VERDICTS = Record.read(HERE.parent / "benchmarks/constructs/recorded.json").verdicts

WRONG = [
    "reverse", "cumsum", "update", "reduce_a_plus_2b", "sum_from_one", "sort_by_two_keys", "nan_mask", "old_cache",
    "one_query", "gather_two_axes",
]  # fmt: skip
INSTEAD = [
    "reverse_instead", "cumsum_instead", "update_instead", "reduce_instead", "sum_from_one_instead", "sort_instead",
    "nan_mask_instead", "old_cache_instead", "one_query_instead", "whole_instead",
    "gather_two_axes_instead",
]  # fmt: skip
RIGHT = ["iota", "slice", "dynamic_slice_spread", "dynamic_slice_beyond"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Emulated]:
    """What comes of the recorded programs, executed in a process of its own: it takes simulated chips."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_TT_")}
    environment |= {"PYTEST_TT_DEVICE_ROOT": str(tmp_path_factory.mktemp("none")), "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(
        [sys.executable, "recorded/faults.py"], cwd=HERE, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("name"): Emulated(**line) for line in lines}


def test_each_recorded_program_is_asked_about(found: dict[str, Emulated]) -> None:
    assert sorted(found) == sorted([*WRONG, *INSTEAD, *RIGHT, "whole"])
    assert sorted(found) == sorted(path.name.partition(".")[0] for path in (HERE / "recorded/faults").iterdir())


@pytest.mark.parametrize("name", WRONG)
def test_the_compiler_computes_something_else(found: dict[str, Emulated], name: str) -> None:
    error = found[name].rel_l2
    assert found[name].outcome == DIFFERS
    assert error is not None
    assert error > 0.1


def test_a_program_that_takes_another_share_is_refused(found: dict[str, Emulated]) -> None:
    sentence = "argument 0 (%arg0) of (32, 64) is (32, 64) on each chip, the program says (32, 32)"
    assert found["whole"] == Emulated(NOT_RUN, reason=sentence)


@pytest.mark.parametrize("name", [*INSTEAD, *RIGHT])
def test_written_otherwise_it_is_right(found: dict[str, Emulated], name: str) -> None:
    assert found[name] == Emulated(EQUAL)


@pytest.mark.parametrize("name", ["psum_in_groups_2x4", "uneven_1x2", "uneven_2x4"])
def test_sums_over_uneven_groups_are_refused(name: str) -> None:
    assert VERDICTS[name].outcome == REFUSED


def test_the_page_shows_all_of_them() -> None:
    rows = re.findall(r"^\| (?!Program|---)(.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == len([*WRONG, "whole"])
