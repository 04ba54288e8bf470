"""The record of what TT's compiler takes, and the pages that rest on it.

That the record is what the installed compiler says is checked by `python -m benchmarks.constructs`, in nox's session
compiler.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions, version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import emulated
from benchmarks.checking import run
from benchmarks.kernels import arrays, error
from benchmarks.verdicts import KINDS, REFUSED, TAKEN, Record, Verdict, differences, kind_of

ROOT = Path(__file__).parents[1]
RECORD = Record.read(ROOT / "benchmarks/constructs/recorded.json")
EMULATED = emulated.Record.read(ROOT / "benchmarks/constructs/emulated.json")
PAGE = (ROOT / "docs/simulation.md").read_text(encoding="utf-8")


def _has_compiler() -> bool:
    return any(re.fullmatch(r"jax[-_]tt[-_]plugin", one.name) for one in distributions()) and bool(
        find_spec("flatbuffers")
    )


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a page, each a list of rows of cells; the first row is the head."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines() if "---" not in line]
        for table in found
    ]


def names(cell: str) -> list[str]:
    """What is in backticks."""
    return re.findall(r"`([^`]+)`", cell)


CLAIMS = [
    row
    for table in tables(PAGE)
    if "Constructs" in table[0]
    for row in [dict(zip(table[0], r, strict=True)) for r in table[1:]]
]


def test_every_construct_is_recorded() -> None:
    listed = "from benchmarks.constructs.groups import CONSTRUCTS, GROUPS; print(*CONSTRUCTS)\n"
    listed += "assert len(CONSTRUCTS) == sum(len(group.constructs) for group in GROUPS)"
    done = subprocess.run([sys.executable, "-c", listed], cwd=ROOT, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted(RECORD.verdicts)
    assert len(RECORD.verdicts) >= 120
    assert {verdict.outcome for verdict in RECORD.verdicts.values()} == {TAKEN, REFUSED}
    assert {verdict.kind for verdict in RECORD.verdicts.values()} <= {"", *KINDS}


def test_what_compiles_is_executed_and_what_differs_is_named() -> None:
    """That the record is what comes of them is checked by `python -m benchmarks.emulated_constructs`."""
    taken = {name for name, verdict in RECORD.verdicts.items() if verdict.outcome == TAKEN}
    assert EMULATED.found.keys() == taken
    assert EMULATED.compiler == RECORD.compiler
    wrong = {name for name, one in EMULATED.found.items() if one.outcome == emulated.DIFFERS}
    spread = {f"{name}_{mesh}" for name in ("cumsum", "reverse", "update_along_spread_axis") for mesh in ("1x2", "2x4")}
    single = {"reduce_a_plus_2b", "reduce_a_plus_b_squared", "reduce_sum_from_one", "attention_of_one_query"}
    assert wrong == spread | single
    refused = {name for name, one in EMULATED.found.items() if one.outcome == emulated.REFUSED}
    assert refused == {"rng_bit_generator", "rbg_uniform", "rng_uniform"}


def test_what_came_of_a_program_is_compared_with_the_record() -> None:
    close, far = (emulated.Emulated(emulated.DIFFERS, error) for error in (0.3, 0.9))
    recorded = {"a": emulated.Emulated(emulated.DIFFERS, 0.2), "b": emulated.Emulated(emulated.EQUAL)}
    assert emulated.differences({"a": close, "b": recorded["b"]}, recorded) == []
    assert emulated.differences({"a": far, "b": close, "c": recorded["b"]}, recorded) == [
        "a: differs (relative L2 9.0e-01); recorded: differs (relative L2 2.0e-01)",
        "b: differs (relative L2 3.0e-01); recorded: equal",
        "c: equal; not in the record",
    ]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["Constructs"].partition("`,")[0].strip("`"))
def test_a_claim_of_the_page_is_in_the_record(claim: dict[str, str]) -> None:
    verdicts = {name: RECORD.verdicts[name] for name in names(claim["Constructs"])}
    assert verdicts
    assert {name: verdict.outcome for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, claim["This build"])
    if "Upstream" in claim:
        found = {op for verdict in verdicts.values() for op in verdict.upstream}
        assert sorted(found) == sorted(names(claim["Upstream"]))
    if "Stored as" in claim:
        found = {kind for verdict in verdicts.values() for kind in verdict.stored}
        assert sorted(found) == sorted(names(claim["Stored as"]))
    if "In the compiled program" in claim:
        counts = re.findall(r"(\d+) `([\w.-]+)`", claim["In the compiled program"])
        for verdict in verdicts.values():
            found = {f"ttnn.{name}": count for name, count in verdict.watched.items()} | dict(verdict.collectives)
            assert {name: found.get(name, 0) for _, name in counts} == {name: int(count) for count, name in counts}
            assert counts or not verdict.collectives


def test_products_are_as_precise_as_the_page_says() -> None:
    expected = {"math_fidelity = hifi4": 1, "fp32_dest_acc_en = true": 1}
    assert RECORD.verdicts["matmul"].watched == RECORD.verdicts["matmul_highest"].watched == expected


def test_claims_are_found() -> None:
    assert len(CLAIMS) >= 25


@pytest.mark.parametrize("row", [row for table in tables(PAGE) if table[0][0] == "Kernel" for row in table[1:]])
def test_numbers_of_the_page_are_those_of_the_kernels(row: list[str]) -> None:
    """Cells say ``PCC 0.99989; 3.7e-2``, or ``0.56 ulp``."""
    (name,) = names(row[0])
    found = error(name)
    for text, value in re.findall(r"(pcc|relative|ulp) ([\d.e-]+)", " ".join(row[1:])):
        shown = value.partition("e")[0]
        digits = len(shown.partition(".")[2])
        actual = getattr(found, text)
        printed = f"{actual:.{digits}e}".replace("e-0", "e-") if "e" in value else f"{actual:.{digits}f}"
        assert printed == value, text


@pytest.mark.parametrize("name", ["add", "exp", "relu", "sqrt", "log"])
def test_a_nan_does_not_stay_one(name: str) -> None:
    kept = arrays()
    given = np.isnan(kept[f"{name}_edge_bf16/in0"])
    assert given.any()
    assert np.isposinf(kept[f"{name}_edge_bf16/out"][given]).all()
    assert not np.isnan(kept[f"{name}_edge_bf16/out"]).any()


@pytest.mark.parametrize("name", ["sqrt", "log"])
def test_a_negative_number_gives_infinity(name: str) -> None:
    kept = arrays()
    negative = kept[f"{name}_edge_bf16/in0"] < -1e-30
    assert negative.any()
    assert np.isposinf(kept[f"{name}_edge_bf16/out"][negative]).all()


def test_another_verdict_is_named() -> None:
    recorded = {"scan": Verdict(TAKEN, upstream=("while",)), "fft": Verdict(REFUSED, "no lowering", "stablehlo.fft")}
    found = {"scan": Verdict(REFUSED, "no lowering", "stablehlo.while"), "fft": recorded["fft"], "new": Verdict(TAKEN)}
    assert differences(found, recorded) == [
        "scan: refused (no lowering: stablehlo.while); recorded: taken [upstream refuses: while]",
        "new: taken; not in the record",
    ]
    assert differences({"fft": recorded["fft"]}, recorded) == []


def test_a_change_fails_and_can_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"scan": Verdict(REFUSED, "no lowering", "stablehlo.while"), "exp": Verdict(TAKEN)}
    compiling = SimpleNamespace(compiler=lambda: "plugin 2", verdicts=lambda programs, store: found)
    monkeypatch.setitem(sys.modules, "benchmarks.compiling", compiling)
    path = tmp_path / "record.json"
    Record("plugin 1", version("jax"), {"scan": Verdict(TAKEN), "exp": Verdict(TAKEN)}).write(path)
    changed = run([], path)
    assert changed is not None
    assert changed.exit_code == 1
    assert "scan: refused (no lowering: stablehlo.while); recorded: taken\n" in capsys.readouterr().out
    recorded = run([], path, record=True)
    assert recorded is not None
    assert recorded.exit_code == 0
    assert Record.read(path) == Record("plugin 2", version("jax"), found)
    again = run([], path)
    assert again is not None
    assert again.exit_code == 0
    assert "all as recorded" in capsys.readouterr().out


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    verdict = Verdict(
        TAKEN, upstream=("while",), host_ops=("sort",), collectives={"all-reduce": 1}, watched={"prod": 0},
        stored=("bf16",), fits=False,
    )  # fmt: skip
    record = Record("plugin 1", "0.10.2", {"a": verdict, "b": Verdict(REFUSED, "type", "ttir.typecast")})
    record.write(tmp_path / "record.json")
    assert Record.read(tmp_path / "record.json") == record


def test_another_jax_adds_what_is_different() -> None:
    taken, refused = Verdict(TAKEN), Verdict(REFUSED, "type")
    record = Record("plugin 1", "0.10.2", {"a": taken, "b": taken})
    other = record.updated("plugin 1", "0.7.1", {"a": taken, "b": refused})
    assert other == Record("plugin 1", "0.10.2", {"a": taken, "b": taken}, {"0.7.1": {"b": refused}})
    assert other.for_jax("0.7.1") == {"a": taken, "b": refused}
    assert other.for_jax("0.9") == other.for_jax("0.10.2") == {"a": taken, "b": taken}
    assert other.updated("plugin 2", "0.10.2", {"a": refused, "b": taken}) == Record(
        "plugin 2", "0.10.2", {"a": refused, "b": taken}
    )


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("failed to legalize operation 'stablehlo.cholesky' that was explicitly marked illegal", "no lowering"),
        ("MLIR translation rule for primitive 'eigh' not found for platform tt", "no rule in jax"),
        ("ERR| TT_THROW: Unsupported signed integer type", "type"),
        ("Could not compute local sharded shape for result 0: tensor sharding is incompatible", "sharding"),
        ("Mesh is not valid", "mesh"),
        ("the compiler did not end within 3 s, and was killed", "time limit"),
        ("something new", "other"),
    ],
)
def test_kinds_of_refusals(sentence: str, kind: str) -> None:
    assert kind_of(sentence) == kind


@pytest.mark.skipif(_has_compiler(), reason="the compiler is installed")
def test_without_the_compiler_it_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.constructs", "scan"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "pip install" in line


@pytest.mark.parametrize("command", ["benchmarks.constructs", "benchmarks.emulated_constructs"])
def test_an_unknown_construct_is_one_line(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", command, "scans"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"{command}: scans: not a construct: see docs/reference/constructs.md\n"


@pytest.mark.skipif(not _has_compiler(), reason="needs the extra compiler")
def test_the_compiler_says_what_is_recorded() -> None:
    """A few of them; all in nox's session compiler."""
    few = ("matmul", "scan", "fft", "cholesky", "eigh", "reduce_a_plus_2b", "psum_1x2", "psum_over_both_axes_2x4")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.constructs", *few], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all as recorded" in done.stdout
    assert "fft: refused (no lowering" in done.stdout
