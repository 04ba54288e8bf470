"""The key ``card`` of results documents: written, travelling as properties, read, compared by the gate, shown."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from cards import COMPILER, card, emulated, emulated_card, program, refusal
from documents import real_document, row_of, write

from pytest_tt.ci.report.history import build_history
from pytest_tt.ci.report.page import page
from pytest_tt.cli import main
from pytest_tt.results.card import extended, system_of_program
from pytest_tt.results.card_summary import summary_lines
from pytest_tt.results.emulated_summary import emulated_lines
from pytest_tt.results.reading import read_document
from pytest_tt.results.recorder import Recorder
from pytest_tt.results.row import Row, to_properties, update_from_properties
from pytest_tt.results.validation import MismatchError, check

if TYPE_CHECKING:
    from pathlib import Path

    Json = dict[str, Any]

ROW = "test_layers[1x2]"
TEST = "test_small.py::test_layers[1x2] [sim t3k 1x2]"


def document(*programs: Json, **changes: Any) -> Json:
    """The real document, whose row that passed has these programs."""
    found = real_document()
    row_of(found, ROW).update({"card": card(*programs), **changes})
    return found


def test_a_row_keeps_its_programs_through_properties() -> None:
    recorder = Recorder(Row("test_a"))
    recorder.layers(2)
    recorder.not_compiled({"n150": "mesh 1x2 needs 2 chips, n150 has 1"})
    recorder.card(COMPILER, program(roofline_s=math.inf))
    recorder.card(COMPILER, program(roofline_s=math.inf))
    assert recorder.row.card is not None
    assert (recorder.row.card["system"], len(recorder.row.card["programs"])) == ("n300", 1), "a second try is the same"
    recorder.card(COMPILER, refusal(system="t3k"))
    travelled = Row("test_a")
    update_from_properties(travelled, to_properties(recorder.row))
    assert travelled.layers == 2
    assert travelled.card == {
        "system": None,
        "compiler": COMPILER,
        "programs": [program(roofline_s=None), refusal(system="t3k")],
        "not_compiled": {"n150": "mesh 1x2 needs 2 chips, n150 has 1"},
    }
    assert recorder.row.to_json()["card"] == travelled.card
    recorder.restart()
    assert (recorder.row.card, recorder.row.layers) == (None, None), "of a second attempt nothing counts of the first"


def test_layers_are_a_number_from_1() -> None:
    recorder = Recorder(Row("test_a"))
    with pytest.raises(TypeError, match=r"layers: 1\.5 is not a whole number"):
        recorder.layers(1.5)  # type: ignore[arg-type]
    for count in (0, True):
        with pytest.raises(ValueError, match="is not a number from 1"):
            recorder.layers(count)


def test_the_system_of_a_program() -> None:
    one = extended(None, COMPILER, program())
    (entry,) = one["programs"]
    assert system_of_program(one, {key: value for key, value in entry.items() if key != "system"}) == "n300"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"programs": {}}, "card.programs: expected a list"),
        ({"compiler": {"package": "x"}}, "card.compiler: has no 'version'"),
        ({"programs": [program(ok=1)]}, "card.programs[0].ok: expected true or false, found 1"),
        ({"programs": [program(ops={"add": -1})]}, "card.programs[0].ops.add: expected a whole number from 0"),
        ({"programs": [program(roofline_s="x")]}, "card.programs[0].roofline_s: expected a number from 0"),
        ({"not_compiled": {"n150": 3}}, "card.not_compiled.n150: expected a text"),
    ],
)
def test_documents_are_checked(changes: Json, said: str, tmp_path: Path) -> None:
    good = document(program(), refusal("decode"), layers=2)
    check(good)
    row = read_document(write(tmp_path / "a.json", good)).rows
    (found,) = (each for each in row.values() if each.card is not None)
    assert (found.layers, found.card) == (2, card(program(), refusal("decode")))
    row_of(good, ROW)["card"].update(changes)
    with pytest.raises(MismatchError) as caught:
        check(good)
    assert said in str(caught.value)


def test_merging_keeps_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", document(program()))
    assert main(["merge", str(path), "-o", str(tmp_path / "m.json")]) == 0
    merged = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert row_of(merged, ROW)["card"] == card(program())


def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str], before: Json, after: Json, *rules: str) -> list[str]:
    """Lines of the gate about regressions and what is better, without the test's name; exit code 1 with regressions."""
    paths = [write(tmp_path / "now.json", after), write(tmp_path / "main.json", before)]
    options = [word for rule in rules for word in ("--rule", rule)]
    code = main(["gate", str(paths[0]), "--baseline", str(paths[1]), *options])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    found = [line.replace(f" {TEST}:", "") for line in lines if line.startswith(("REGRESSION", "better"))]
    assert code == any(line.startswith("REGRESSION") for line in found)
    return found


@pytest.mark.parametrize(
    ("after", "said", "rule"),
    [
        (
            [program(host_ops={"topk": 1})],
            "REGRESSION ops on the host of forward for n300: 0 -> 1 (0 more allowed)",
            "card_host_ops=1",
        ),
        (
            [program(ops={"matmul": 22})],
            "REGRESSION ops of forward for n300: 20 -> 22 (may grow to 1.05 times)",
            "card_ops_ratio=1.1",
        ),
        (
            [program(dram_peak_bytes=4 * 2**30)],
            "REGRESSION peak DRAM of forward for n300: 3.0 GiB (3,221,225,472 bytes) -> 4.0 GiB (4,294,967,296 bytes) "
            "(may grow to 1.01 times)",
            "card_dram_ratio=1.5",
        ),
        (
            [program(collectives={"all-reduce": 3})],
            "REGRESSION all-reduce of forward for n300: 2 -> 3 (may grow to 1 times)",
            "card_collectives_ratio=1.5",
        ),
        (
            [program(upstream=["while"])],
            "REGRESSION ops of forward for n300 that upstream lacks: none -> while (upstream lacks them)",
            "card_upstream=false",
        ),
        (
            [refusal()],
            "REGRESSION forward for n300: compiles -> refused (stablehlo.fft at m.py:3: no)",
            "card_refused=false",
        ),
        ([], "REGRESSION programs by TT's compiler: known -> missing (what the baseline has must be there)",
         "missing=false"),
    ],
)  # fmt: skip
def test_gate(after: list[Json], said: str, rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule closes the gate, allows as much as it says, and tells where the reverse is better."""
    before, now = document(program()), document(*after)
    assert gate(tmp_path, capsys, before, before) == []
    assert gate(tmp_path, capsys, before, now) == [said]
    assert gate(tmp_path, capsys, before, now, rule) == []
    better = gate(tmp_path, capsys, now, before)
    assert len(better) == bool(after)
    assert all(line.startswith("better") for line in better)


def test_gate_of_tests_that_fail_either_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal that hides behind another failure, expected or not, is told; more ops are not, nothing was checked."""
    for outcome in ("failed", "xfailed"):
        before = document(program(), outcome=outcome)
        assert gate(tmp_path, capsys, before, document(program(ops={"add": 99}), outcome=outcome)) == []
        (line,) = gate(tmp_path, capsys, before, document(refusal(), outcome=outcome))
        assert "forward for n300: compiles -> refused" in line


def test_gate_tells_programs_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, system, and their order where both are the same."""
    before = document(program(), program(ops={"add": 100}), program(system="t3k"))
    after = document(program(), program(ops={"add": 200}), program(system="t3k", ops={"add": 40}))
    assert gate(tmp_path, capsys, before, after) == [
        "REGRESSION ops of forward (2) for n300: 100 -> 200 (may grow to 1.05 times)",
        "REGRESSION ops of forward for t3k: 20 -> 40 (may grow to 1.05 times)",
    ]


def test_summary_of_a_run() -> None:
    cards = [
        card(program(), program("decode", dram_peak_bytes=13 * 2**30, fits=False, upstream=["while"])),
        card(refusal(), program(system="t3k"), not_compiled={"n150": "mesh 1x2 needs 2 chips, n150 has 1"}),
        {"system": None, "compiler": None, "programs": [], "not_compiled": {"n300": "mesh 1x8 needs 8 chips"}},
    ]
    assert list(summary_lines(cards)) == [
        "3 programs of 2 tests compiled for n300 by jax-tt-plugin 0.1.3: 1 refused, 1 too large for a chip, 1 with "
        "ops that upstream lacks; the largest takes 13.0 GiB of the 12.0 GiB of a chip",
        "1 program of 1 test compiled for t3k by jax-tt-plugin 0.1.3: all taken; the largest takes 3.0 GiB of the "
        "12.0 GiB of a chip",
        "not compiled for n150: 1 test (mesh 1x2 needs 2 chips, n150 has 1)",
        "not compiled for n300: 1 test (mesh 1x8 needs 8 chips)",
    ]
    assert list(summary_lines([])) == []


def text_of(tmp_path: Path, found: Json) -> str:
    return page(build_history([read_document(write(tmp_path / "a.json", found))]))


def test_page(tmp_path: Path) -> None:
    assert "Compiled for a card" not in text_of(tmp_path, real_document())
    found = document(
        program(), program("decode", system="n150", fits=False, dram_peak_bytes=15 * 2**30, error="needs"), layers=2
    )
    row_of(found, "test_layers[2x4]").update(card=card(refusal(error="<b>"), program(ops=None, roofline_s=None)))
    text = text_of(tmp_path, found)
    section = text.partition('<h2 id="cards">')[2].partition("</section>")[0]
    assert section.index(">n150<") < section.index(">n300<"), "systems in the order of the table"
    for shown in ("✓ 1", "✗ 125.0 %", "✗ 1 of 3", "✓ 25.0 %", ">10<", ">1.5 ms<"):
        assert shown in section, shown
    assert "1 of 3 programs refused: &lt;b&gt;" in section
    assert "the largest program takes 15.0 GiB of the 12.0 GiB of a chip" in section
    assert "<dt>Compiled for n150</dt><dd>decode: 20 ops, 2 all-reduce, 15.0 GiB of DRAM, at best 1.5 ms: needs" in text
    row_of(found, ROW)["layers"] = None
    assert ">20 in all<" in text_of(tmp_path, found)


def test_a_row_keeps_what_emulation_showed() -> None:
    """A program's later calls take the place of its first."""
    recorder = Recorder(Row("test_a"))
    recorder.card(COMPILER, program())
    build = "jax-tt-plugin 0.1.3 (tt-mlir 614f605f)"
    recorder.emulated(build, 0, emulated(calls=1))
    recorder.emulated(build, 1, emulated("decode", exact_rel_l2=math.inf))
    recorder.emulated(build, 0, emulated())
    travelled = Row("test_a")
    update_from_properties(travelled, to_properties(recorder.row))
    assert travelled.card == {
        **card(program()), "emulated": {"build": build, "programs": [emulated(), emulated("decode", exact_rel_l2=None)]}
    }  # fmt: skip


def emulated_document(*entries: Json) -> Json:
    """The real document, whose row that passed was emulated with these entries."""
    found = real_document()
    row_of(found, ROW)["card"] = emulated_card(*entries)
    check(found)
    return found


def test_gate_sees_a_lower_predicted_pcc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = emulated_document(emulated(), emulated("decode", pcc=0.99))
    after = emulated_document(emulated(pcc=0.9985), emulated("decode", pcc=0.995))
    assert gate(tmp_path, capsys, before, after) == [
        "better predicted PCC of decode for n300: 0.99 -> 0.995 (risen)",
        "REGRESSION predicted PCC of forward for n300: 1 -> 0.9985 (may fall by 0.001)",
    ]
    assert gate(tmp_path, capsys, before, after, "emulated_pcc_drop=0.01") == []
    lost = document(program(), program("decode"))
    assert gate(tmp_path, capsys, before, lost) == [
        "REGRESSION emulated programs: known -> missing (what the baseline has must be there)"
    ]


def test_summary_of_an_emulated_run() -> None:
    dear = [{"op": "ttnn.matmul", "place": "m.py:3", "rel_l2": 2e-3}, {"op": "ttnn.exp", "place": None, "rel_l2": 1e-4}]
    cards = {
        "a.py::test_a": emulated_card(emulated(), emulated("decode", pcc=0.98, rel_l2=0.2, dearest=dear)),
        "a.py::test_b": emulated_card(emulated("never", calls=0, exact_rel_l2=None, pcc=None)),
        "a.py::test_c": emulated_card(emulated("r", "p150", exact_rel_l2=None, pcc=None, not_compared="it is random")),
        "a.py::test_d": card(program()),
    }
    assert list(emulated_lines(cards)) == [
        "2 programs of 1 test emulated on n300 (chip wormhole): without rounding at most 2.0e-07 from the simulation "
        "(rel L2); with the chip's numbers least PCC 0.980000, rel L2 2.0e-01 (decode of a.py::test_a)",
        "1 program of 1 test emulated on p150 (chip wormhole)",
        "not compared with the simulation: 1 program (it is random)",
        "what costs decode of a.py::test_a most accuracy (rel L2 that the op adds):",
        "  2.0e-03  ttnn.matmul  m.py:3",
        "  1.0e-04  ttnn.exp     -",
    ]


def test_page_of_an_emulated_run(tmp_path: Path) -> None:
    assert "Emulated" not in text_of(tmp_path, real_document())
    wrong = emulated("other", "t3k", exact_rel_l2=None, pcc=0.5, rel_l2=0.9)
    text = text_of(tmp_path, emulated_document(emulated(), emulated("decode", pcc=0.97), wrong))
    section = text.partition('<h2 id="emulated">')[2].partition("</section>")[0]
    for shown in ("✓ 2", "✗ 1 of 1", "0.970000", ">2.5e-03<", "1 of 1 programs compute something else"):
        assert shown in section, shown
    assert "<dt>Emulated on n300</dt><dd>forward: without rounding rel L2 2.0e-07; chip wormhole: PCC 0.999990" in text
