"""The zoo's contract tests on `hw` with a real plugin that compiles only, over a made-up device tree.

NOTHING IS EXECUTED: every output is zeros. What this shows is that each program compiles for the card, that what a run
records of it comes from the plugin's executable, and that a contract test gets as far as comparing its outputs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from device_tree import make_system

from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler import compile, descriptor
from pytest_tt.tt_compiler.build import CompilerMissing, find_build

ROOT = Path(__file__).parents[1]

CHOSEN = "test_golden and (mlp or cnn or gpt2)"
"""Enough to see that the path holds: test_compiles has all models."""

pytestmark = pytest.mark.skipif(
    not os.environ.get("ZOO_SLOW"), reason="takes minutes: compiles every golden's program; runs with ZOO_SLOW=1"
)


def rows_of_a_run(system: str, chosen: str, tmp_path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Facts of the run, its rows and its output, of the contract's golden tests chosen by `chosen` on `system`."""
    try:
        build = compile.identify(find_build())
    except CompilerMissing as missing:
        pytest.skip(str(missing))
    finally:
        compile.close_servers()
    box = SYSTEMS[system]
    description = tmp_path / "system.ttsys"
    description.write_bytes(descriptor.descriptor(box, str(build.schema_hash)))
    own = tmp_path / "temporary"  # the plugin unpacks 417 MB there
    own.mkdir()
    environ = os.environ | {
        "PYTEST_TT_DEVICE_ROOT": str(make_system(tmp_path / "machine", system)),
        "TT_COMPILE_ONLY_SYSTEM_DESC": str(description),
        "TMPDIR": str(own),
    }
    del environ["ZOO_SLOW"]  # of goldens those whose weights are made quickly
    results = tmp_path / "results.json"
    command = [
        "-m",
        "pytest",
        "-p",
        "pytest_tt",
        "-p",
        "no:cacheprovider",
        "--tt-backend",
        "hw",
        "--no-tt-isolate",
        "-q",
        "--tb=line",
    ]
    try:
        done = subprocess.run(
            [sys.executable, *command, "zoo/test_contract.py", "-k", chosen, f"--tt-results={results}"],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(own)
    assert results.is_file(), done.stdout + done.stderr
    document = json.loads(results.read_text())
    return document["run"], document["tests"], done.stdout


@pytest.mark.parametrize(
    ("system", "chosen", "least"), [("t3k", f"{CHOSEN} and not 8x4", 25), ("galaxy", f"{CHOSEN} and 8x4", 5)]
)
def test_contract_tests_come_to_the_comparison(system: str, chosen: str, least: int, tmp_path: Path) -> None:
    """Each fails there and nowhere else: the zeros of a program that was not executed are no model's outputs."""
    run, rows, output = rows_of_a_run(system, chosen, tmp_path)
    assert run["backend_source"].endswith(
        "compiled only: NOTHING IS EXECUTED, outputs are zeros (TT_COMPILE_ONLY_SYSTEM_DESC is set)"
    )
    assert run["versions"]["jax_tt_plugin"] == find_build().version
    ran = [row for row in rows if row["outcome"] != "skipped"]
    assert len(ran) >= least, output
    assert {row["outcome"] for row in ran} == {"failed"}
    elsewhere = {row["nodeid"]: (row["phase"], row["reason"]) for row in ran if row["phase"] != "compare"}
    assert elsewhere == {}, output
    for row in ran:
        # The contract has compared the collectives with those that the model declares.
        assert row["collectives"] is not None, row["nodeid"]
        assert row["bytes_per_chip"] > 0, row["nodeid"]
        assert row["card"]["system"] == system, row["nodeid"]
        assert all(program["ok"] and program["ops"] for program in row["card"]["programs"]), row["nodeid"]
        assert row["metrics"], row["nodeid"]
    chips = SYSTEMS[system].chips
    skipped = {row["reason"] for row in rows if row["outcome"] == "skipped"}
    assert all("ZOO_SLOW" in reason or f"but {system} has {chips}" in reason for reason in skipped), skipped
