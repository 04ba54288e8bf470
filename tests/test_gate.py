"""`pytest-tt gate`: each kind of regression, put into a real document, is found and named; an unchanged pair passes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from documents import real_document, row_of, write

from pytest_tt.ci.gate.rules import RulesError, RuleSet, read_rules
from pytest_tt.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Json = dict[str, Any]
    Gate = Callable[..., tuple[int, list[str]]]

ROW = "test_layers[1x2]"
TEST = "test_small.py::test_layers[1x2] [sim t3k 1x2]"


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gate:
    """Runs the gate on two documents, the real one where none is given; gives the exit code and its lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def run(current: Json | None = None, *options: str, baseline: Json | None = None) -> tuple[int, list[str]]:
        write(tmp_path / "now.json", current or real_document())
        write(tmp_path / "main.json", baseline or real_document())
        code = main(["gate", "now.json", "--baseline", "main.json", *options])
        output, error = capsys.readouterr()
        if code == 2:
            assert (output, error.count("\n")) == ("", 1)
            return code, [error.rstrip("\n")]
        assert error == ""
        return code, output.splitlines()

    return run


def changed(**fields: Any) -> Json:
    """The real document with other values in the row that passed."""
    document = real_document()
    row_of(document, ROW).update(fields)
    return document


def with_metric(metric: str, value: float | None) -> Json:
    document = real_document()
    row_of(document, ROW)["metrics"]["small"][metric] = value
    return document


def with_timing(name: str, value: float) -> Json:
    document = real_document()
    row_of(document, ROW)["timing"][name] = value
    return document


def found(lines: list[str], kind: str) -> list[str]:
    return [re.sub(" +", " ", line) for line in lines if line.startswith(kind)]


def test_unchanged_pair_passes(gate: Gate) -> None:
    code, lines = gate()
    assert code == 0
    assert re.fullmatch(
        r"Baseline: main.json \(20..-..-.. ..:.., commit unknown\)\. Now: now.json \(.*\)\. Rules: the defaults\.",
        lines[0],
    )
    assert found(lines, "still failing") == [
        "still failing test_small.py::test_scaled [sim t3k 1x2]: outcome: failed -> failed (Failed: golden 'small': "
        "1 of 1 leaf differs (backend sim), in compare)"
    ]
    assert lines[-1] == "gate open: no regression, 1 still failing; 7 tests compared"
    assert len(lines) == 3


SEEDED: dict[str, tuple[Callable[[], Json], str]] = {
    "newly failing": (
        lambda: changed(outcome="failed", phase="compile", reason="RuntimeError: no\nroom"),
        "outcome: passed -> failed (RuntimeError: no room, in compile)",
    ),
    "died in a rerun": (lambda: changed(outcome="rerun"), "outcome: passed -> rerun (no reason given, in compare)"),
    "skipped": (
        lambda: changed(outcome="skipped", reason="no chips"),
        "outcome: passed -> skipped (no longer checked: no chips)",
    ),
    "expected to fail": (
        lambda: changed(outcome="xfailed", reason="known"),
        "outcome: passed -> xfailed (no longer checked: known)",
    ),
    "pcc": (lambda: with_metric("pcc", 0.99), "pcc of 'small': 1 -> 0.99 (may fall by 0.001)"),
    "rel_l2": (lambda: with_metric("rel_l2", 5e-6), "rel_l2 of 'small': * -> 5e-06 (may grow to 2 times or by 1e-06)"),
    "top-1": (lambda: with_metric("top1", 0.5), "top1 of 'small': 1 -> 0.5 (may fall by 0.01)"),
    "metric lost": (lambda: with_metric("rel_l2", None), "rel_l2 of 'small': known -> missing (*)"),
    "more collectives": (
        lambda: changed(collectives={"all-reduce": 3, "all-gather": 1}),
        "all-reduce collectives: 1 -> 3 (0 more allowed)",
    ),
    "collectives lost": (lambda: changed(collectives=None), "collectives: known -> missing (*)"),
    "more bytes": (
        lambda: changed(bytes_per_chip=10**6),
        "bytes per chip: * -> 976.6 KiB (1,000,000 bytes) (may grow to 1.01 times)",
    ),
    "golden changed": (
        lambda: changed(
            metrics={"small": row_of(real_document(), ROW)["metrics"]["small"] | {"golden": "sha256:" + 64 * "e"}}
        ),
        "golden 'small': sha256:???????????? -> sha256:eeeeeeeeeeee (other numbers are compared than before)",
    ),
}


@pytest.mark.parametrize("name", SEEDED)
def test_each_kind_of_regression_is_named(name: str, gate: Gate) -> None:
    make, said = SEEDED[name]
    code, lines = gate(make())
    assert code == 1
    regressions = found(lines, "REGRESSION")
    pattern = re.escape(f"REGRESSION {TEST}: {said}").replace(r"\*", ".*").replace(r"\?", ".")
    assert [line for line in regressions if re.fullmatch(pattern, line)] == regressions[-1:], regressions
    assert lines[-1].startswith(f"gate closed: {len(regressions)} regression")
    assert "in 1 test" in lines[-1]


def test_each_kind_of_collective_counts(gate: Gate) -> None:
    code, lines = gate(changed(collectives={"all-gather": 1}))
    assert code == 1
    assert found(lines, "REGRESSION") == [f"REGRESSION {TEST}: all-gather collectives: 0 -> 1 (0 more allowed)"]
    assert found(lines, "better") == [f"better {TEST}: all-reduce collectives: 1 -> 0 (fewer)"]


def test_missing_rows(gate: Gate) -> None:
    document = real_document()
    document["tests"] = [row for row in document["tests"] if "layers[1x" not in row["nodeid"]]
    code, lines = gate(document)
    assert code == 1
    assert found(lines, "REGRESSION") == [
        f"REGRESSION test_small.py::test_layers[{mesh}] [sim t3k {mesh}]: row: passed -> missing (every test of the "
        "baseline must have a row)"
        for mesh in ("1x1", "1x2")
    ]
    assert lines[-1] == "gate closed: 2 regressions in 2 tests, 1 still failing; 5 tests compared"


def test_run_that_ended_early_is_newly_failing(gate: Gate) -> None:
    """As `document.py` leaves a row whose test never ran."""
    code, lines = gate(
        changed(outcome="failed", phase="setup", metrics={}, reason="not run: the run ended before this test")
    )
    assert code == 1
    assert "(not run: the run ended before this test, in setup)" in found(lines, "REGRESSION")[0]


@pytest.mark.parametrize(
    ("make", "option", "said"),
    [
        (
            lambda: with_timing("compile_s", 60.0),
            "compile_ratio=1.5",
            "compile time: * -> 60 s (may grow to 1.5 times or by 1 s)",
        ),
        (lambda: with_timing("run_s", 5.0), "sim.run_ratio=2", "run time: * -> 5 s (may grow to 2 times or by 0.01 s)"),
    ],
)
def test_times_count_where_that_is_asked_for(make: Callable[[], Json], option: str, said: str, gate: Gate) -> None:
    assert gate(make())[0] == 0
    assert gate(make(), "--rule", option.replace("sim.", "hw.").replace("compile", "hw.compile"))[0] == 0
    code, lines = gate(make(), "--rule", option)
    assert code == 1
    (line,) = found(lines, "REGRESSION")
    assert re.fullmatch(re.escape(f"REGRESSION {TEST}: {said}").replace(r"\*", ".*"), line)


def test_noise_below_the_floors_is_none(gate: Gate) -> None:
    slow, fast = with_timing("run_s", 0.009), with_timing("run_s", 0.001)
    assert gate(slow, "--rule", "run_ratio=1.5", baseline=fast)[0] == 0
    assert gate(slow, "--rule", "run_ratio=1.5", "--rule", "run_floor_s=0.005", baseline=fast)[0] == 1
    assert gate(with_metric("rel_l2", 9e-7), baseline=with_metric("rel_l2", 1e-7))[0] == 0
    assert (
        gate(with_metric("rel_l2", 9e-7), "--rule", "rel_l2_floor=false", baseline=with_metric("rel_l2", 1e-7))[0] == 1
    )


def test_what_got_better_is_told(gate: Gate) -> None:
    worse = real_document()
    worse["tests"] = [row for row in worse["tests"] if "1x1" not in row["nodeid"]]
    row = row_of(worse, ROW)
    row["metrics"]["small"].update(pcc=0.99, rel_l2=1e-4)
    row.update(collectives={"all-reduce": 4}, bytes_per_chip=10**6)
    row["timing"]["run_s"] = 9.0
    row_of(worse, "test_layers[2x4]")["outcome"] = "failed"
    code, lines = gate(None, "--rule", "run_ratio=2", baseline=worse)
    assert code == 0
    quantities = [line.split(": ")[1] for line in found(lines, "better")]
    assert quantities == [
        *("pcc of 'small'", "rel_l2 of 'small'", "all-reduce collectives", "bytes per chip", "run time", "outcome")
    ]
    assert found(lines, "new") == [
        "new test_small.py::test_layers[1x1] [sim t3k 1x1]: outcome: not in the baseline -> passed (a new test)"
    ]
    assert lines[-1] == "gate open: no regression, 6 better, 1 new, 1 still failing; 6 tests compared"


def test_new_test_that_fails_closes_the_gate(gate: Gate) -> None:
    baseline = real_document()
    baseline["tests"] = [row for row in baseline["tests"] if "scaled" not in row["nodeid"]]
    code, lines = gate(baseline=baseline)
    assert code == 1
    assert "test_scaled [sim t3k 1x2]: outcome: not in the baseline -> failed" in found(lines, "REGRESSION")[0]


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: changed(outcome="skipped"), "skipped=false"),
        (lambda: with_metric("pcc", 0.99), "pcc_drop=0.05"),
        (lambda: with_metric("pcc", 0.99), "pcc_drop=false"),
        (lambda: with_metric("top1", 0.5), "top_drop=0.5"),
        (lambda: with_metric("rel_l2", 1e-4), "rel_l2_ratio=1e6"),
        (lambda: with_metric("rel_l2", None), "missing=false"),
        (lambda: changed(collectives={"all-reduce": 3}), "collectives=2"),
        (lambda: changed(bytes_per_chip=10**6), "bytes_ratio=1e6"),
        (SEEDED["golden changed"][0], "golden=false"),
        (lambda: {**real_document(), "tests": real_document()["tests"][1:]}, "missing=false"),
    ],
)
def test_each_rule_can_be_loosened_for_its_backend(make: Callable[[], Json], option: str, gate: Gate) -> None:
    assert gate(make())[0] == 1
    assert gate(make(), "--rule", f"hw.{option}")[0] == 1
    assert gate(make(), "--rule", f"sim.{option}")[0] == 0
    assert gate(make(), "--rule", option)[0] == 0


def test_many_documents_on_both_sides(gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("now", "main"):
        for half in (0, 1):
            document = real_document()
            document["tests"] = document["tests"][half::2]
            write(tmp_path / f"{side}-{half}.json", document)
    monkey = ["gate", "now-0.json", "now-1.json", "--baseline", "main-0.json", "--baseline", "main-1.json"]
    assert gate()[0] == 0
    assert main([str(tmp_path / each) if each.endswith("json") else each for each in monkey]) == 0
    assert capsys.readouterr().out.endswith("7 tests compared\n")


def test_rules_in_force_are_printed_on_request(gate: Gate) -> None:
    _, lines = gate(None, "--rules", "--rule", "hw.run_ratio=1.2", "--rule", "pcc_drop=0.5")
    rules = found(lines, "rule ")
    assert "rule pcc_drop = 0.5: PCC may fall by this much" in rules
    run_ratio = "false (sim), false (emu), 1.2 (hw)"
    assert f"rule run_ratio = {run_ratio}: median run time may grow to this many times what it was" in rules
    assert "Rules: --rule hw.run_ratio=1.2, --rule pcc_drop=0.5." in lines[0]


def test_markdown(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("earlier\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    bad = changed(outcome="failed", reason="<b>|`x`* [y](z)\n#")
    code, lines = gate(bad, "--markdown", "-")
    assert code == 1
    assert lines[0] == "## ❌ gate closed: 1 regression in 1 test, 1 still failing; 7 tests compared"
    row = (
        "| `test_small.py::test_layers[1x2]` | sim t3k 1x2 | outcome | passed | failed | "
        r"\<b\>\|\`x\`\* \[y\](z) \#, in compare |"
    )
    assert row in lines
    assert lines.index("### Regressions") < lines.index(row) < lines.index("### Still failing")

    code, lines = gate(bad, "--markdown", str(summary))
    assert lines[-1].startswith("gate closed")
    assert summary.read_text(encoding="utf-8").startswith("earlier\n## ❌ gate closed")
    gate(bad, "--markdown", "own.md")
    gate(None, "--markdown", "own.md")
    assert (tmp_path / "own.md").read_text(encoding="utf-8").count("## ") == 2, "a file of its own is written anew"
    code, lines = gate(None, "--markdown", "own.md/x")
    assert code == 2
    assert lines[0].startswith("pytest-tt gate: --markdown own.md/x: cannot be written: ")


def test_github_annotations(gate: Gate) -> None:
    _, lines = gate(changed(outcome="failed", reason="100% wrong"), "--github")
    assert lines[-1] == (
        "::error file=test_small.py,title=Regression%3A outcome::test_small.py::test_layers[1x2] [sim t3k 1x2]: "
        "outcome: passed -> failed (100%25 wrong, in compare)"
    )
    assert [line for line in gate(None, "--github")[1] if line.startswith("::")] == []


def test_nothing_in_common_is_unusable(gate: Gate) -> None:
    other = real_document()
    for row in other["tests"]:
        row["system"] = "galaxy"
    assert gate(other) == (
        2,
        ["pytest-tt gate: nothing to compare: 7 tests on sim galaxy, in the baseline 7 tests on sim t3k"],
    )
    assert gate({**other, "tests": []})[1] == [
        "pytest-tt gate: nothing to compare: 0 tests, in the baseline 7 tests on sim t3k"
    ]


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ('{"schema": 1, "run"', "main.json:1:20: the document ends too early: was the file cut off?"),
        ('{"schema": 0, "run": {}}', "main.json: schema: 0 is older than 1"),
        ('{"schema": 7, "run": {}}', "main.json: schema: 7 is newer than 1"),
    ],
)
def test_unusable_baseline(baseline: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = write(tmp_path / "now.json", real_document())
    (tmp_path / "main.json").write_text(baseline, encoding="utf-8")
    assert main(["gate", str(now), "--baseline", str(tmp_path / "main.json")]) == 2
    output, error = capsys.readouterr()
    assert (output, error.count("\n")) == ("", 1)
    assert said in error


def test_rules_come_from_pyproject(gate: Gate, tmp_path: Path) -> None:
    config = tmp_path / "pyproject.toml"
    config.write_text(
        "[tool.pytest-tt.gate]\npcc_drop = 0.05\n[tool.pytest-tt.gate.hw]\npcc_drop = 0.0\n", encoding="utf-8"
    )
    code, lines = gate(with_metric("pcc", 0.99))
    assert code == 0
    assert lines[0].endswith("Rules: pyproject.toml [tool.pytest-tt.gate].")
    assert gate(with_metric("pcc", 0.99), "--rule", "pcc_drop=0.001")[0] == 1, "the command line counts more"
    rules = read_rules(config, required=True)
    assert (rules.of("sim").pcc_drop, rules.of("hw").pcc_drop, rules.of("hw").top_drop) == (0.05, 0.0, 0.01)
    config.write_text("[project]\nname = 'x'\n[tool.pytest-tt.matrix]\n", encoding="utf-8")
    assert gate(with_metric("pcc", 0.99))[0] == 1
    assert gate(None, "--config", "pyproject.toml") == (
        2,
        ["pytest-tt gate: pyproject.toml: has no table [tool.pytest-tt.gate]"],
    )
    assert gate(None, "--config", "none.toml")[1] == [
        "pytest-tt gate: none.toml: is not there: expected a TOML file with the table [tool.pytest-tt.gate]"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[tool.pytest-tt.gate]\npcc_dorp = 1",
            "tool.pytest-tt.gate: 'pcc_dorp' is not a rule (did you mean pcc_drop?)",
        ),
        (
            "[tool.pytest-tt.gate.hw]\nbyte_ratio = 1",
            "tool.pytest-tt.gate.hw: 'byte_ratio' is not a rule (did you mean bytes_ratio?)",
        ),
        ("[tool.pytest-tt.gate]\npcc_drop = 'x'", 'pcc_drop: expected a number from 0, or false (off), found "x"'),
        ("[tool.pytest-tt.gate]\npcc_drop = true", "pcc_drop: expected a number from 0, or false (off), found true"),
        ("[tool.pytest-tt.gate]\npcc_drop = nan", "pcc_drop: expected a number from 0, or false (off), found NaN"),
        (
            "[tool.pytest-tt.gate]\nbytes_ratio = 0.5",
            "bytes_ratio: expected a number from 1, or false (off), found 0.5",
        ),
        ("[tool.pytest-tt.gate]\ncollectives = 1.5", "collectives: expected a whole number from 0, or false (off)"),
        ("[tool.pytest-tt.gate]\nmissing = 1", "missing: expected true or false, found 1"),
        ("[tool.pytest-tt]\ngate = 3", "tool.pytest-tt.gate: expected a table, found 3"),
        ("[tool.pytest-tt.gate]\nsim = 3", "tool.pytest-tt.gate.sim: expected a table of rules, found 3"),
        (
            "[tool.pytest-tt.gates]\npcc_drop = 1",
            "tool.pytest-tt.gates: is not read: did you mean tool.pytest-tt.gate?",
        ),
        ("[tool.pytest_tt.gate]\npcc_drop = 1", "tool.pytest_tt: is not read: did you mean tool.pytest-tt.gate?"),
        ("[tool.pytest-tt.gate\n", "is not TOML: "),
    ],
)
def test_unusable_rules(text: str, said: str, gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    code, (line,) = gate()
    assert code == 2
    assert line.startswith("pytest-tt gate: pyproject.toml: ")
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pcc_drop", "--rule 'pcc_drop': expected RULE=VALUE, e.g. pcc_drop=0.01 or hw.run_ratio=1.5"),
        ("tpu.pcc_drop=1", "--rule 'tpu.pcc_drop=1': 'tpu' is not a backend: expected sim or emu or hw before the"),
        ("pcc=1", "--rule 'pcc=1': 'pcc' is not a rule"),
        ("pcc_drop=much", 'pcc_drop: expected a number from 0, or false (off), found "much"'),
    ],
)
def test_unusable_rules_of_the_command_line(text: str, said: str) -> None:
    with pytest.raises(RulesError) as caught:
        RuleSet().with_assignments([text], "--rule")
    assert said in str(caught.value)
