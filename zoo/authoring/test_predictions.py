"""What is predicted of goldens: the table, its place in a README, and the record; one prediction by TT's compiler."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_tt.tt_compiler.build import CompilerMissing, find_build
from zoo import registry
from zoo.__main__ import main
from zoo.authoring import predictions
from zoo.authoring.predictions import Prediction

if TYPE_CHECKING:
    from pathlib import Path

FOUND = [
    Prediction("dense", "p150", "1x1", "bfloat16", 0.9999991, 1e-3),
    Prediction("dense", "p150", "1x1", "bfp_bf8", 0.98, 2e-1),
    Prediction("dense", "t3k", "2x4", "bfloat16", None, None, "sort at model.py:3: not known"),
]


def test_table_names_what_is_low() -> None:
    text = predictions.text_of(registry.model("mlp"), "compiler 1", FOUND)
    assert "| golden | p150 1x1 | t3k 2x4 |" in text
    assert "| `dense` | 0.999999 / 0.980000 | none / - |" in text
    words = " ".join(text.split())
    assert "what compiler 1 makes of the model" in words
    assert "Below 0.99: `dense` on p150 1x1 with bfp_bf8 weights (0.9800)." in words


def test_record_and_readme_agree(tmp_path: Path) -> None:
    model = replace(registry.model("mlp"), folder=tmp_path)
    assert predictions.problems(model) == [], "a model without a record"
    place = "{}\n{}\n".format(predictions.BEGIN.format(model="mlp"), predictions.END)
    readme = predictions.replaced(f"# mlp\n\n{place}", predictions.text_of(model, "compiler 1", FOUND))
    (tmp_path / "README.md").write_text(readme)
    predictions.path_of(model).write_text(predictions.record_of("compiler 1", FOUND))
    assert predictions.recorded(model) == ("compiler 1", FOUND)
    assert predictions.problems(model) == []
    (tmp_path / "README.md").write_text(readme.replace("0.980000", "0.990000"))
    assert predictions.problems(model) == [
        "the README's table is not of the record: python -m zoo predict mlp --record"
    ]
    with pytest.raises(ValueError, match="the README has no place for the predictions"):
        predictions.replaced("# mlp\n", "")


def test_what_is_recorded_of_other_goldens_is_kept(tmp_path: Path) -> None:
    model = replace(registry.model("mlp"), folder=tmp_path)
    predictions.path_of(model).write_text(predictions.record_of("compiler 1", FOUND))
    other = replace(FOUND[0], case="sum")
    assert predictions.with_recorded(model, "compiler 1", [other]) == [*FOUND, other]
    again = replace(FOUND[0], pcc=0.5)
    assert predictions.with_recorded(model, "compiler 1", [again]) == [again, FOUND[2]], "on other chips"
    assert predictions.with_recorded(model, "compiler 2", [other]) == [other], "of another compiler"


def test_what_is_farther_than_recorded(tmp_path: Path) -> None:
    model = replace(registry.model("mlp"), folder=tmp_path)
    predictions.path_of(model).write_text(predictions.record_of("compiler 1", FOUND[:2]))
    near, far = (replace(FOUND[1], pcc=1 - (1 - 0.98) * factor) for factor in (1.2, 1.3))
    assert predictions.farther(model, [FOUND[0], near]) == []
    assert predictions.farther(model, [far, replace(near, pcc=None, problem="refused"), FOUND[2]]) == [
        "mlp dense on p150 1x1, bfp_bf8: PCC 0.974000, recorded 0.980000",
        "mlp dense on p150 1x1, bfp_bf8: refused, recorded 0.980000",
        "mlp dense on t3k 2x4, bfloat16: not recorded",
    ]


@pytest.mark.parametrize("name", registry.names())
def test_records_of_the_zoo(name: str) -> None:
    model = registry.model(name)
    assert predictions.problems(model) == []
    text = predictions.path_of(model).parent.joinpath("README.md").read_text(encoding="utf-8")
    predictions.replaced(text, "")  # raises without a place


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["mlpp"], "mlpp: expected one of bert, clip, cnn"),
        (["mlp:wide"], "mlp:wide: expected one of dense, megatron, sum"),
        (["gpt2:tiny", "gpt2:generation"], "gpt2:generation: no program is compared with it on 1x1, 1x2, 1x8, 2x4"),
        (["mlp", "--system", "n300"], "--system and --mesh: expected both, or neither"),
        (
            ["mlp", "--system", "n300", "--mesh", "2x1", "--record"],
            "no n300 2x1, expected one of p150 1x1, n300 1x2, t3k",
        ),
    ],
)
def test_what_predict_refuses(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", *words])
    assert text in capsys.readouterr().err


def _has_compiler() -> bool:
    try:
        find_build()
    except CompilerMissing:
        return False
    return True


@pytest.mark.skipif(not _has_compiler(), reason="TT's compiler is not installed")
def test_predicted_as_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    """By this machine's compiler and the emulator as it is."""
    assert main(["predict", "mlp:megatron", "--system", "p150", "--mesh", "1x1", "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "none of 2 is farther from its golden than recorded"
    told = {words[4]: float(words[5]) for words in (line.split() for line in lines[1:3])}
    _, recorded = predictions.recorded(registry.model("mlp"))
    before = {
        one.weights: one.pcc for one in recorded if (one.case, one.system, one.mesh) == ("megatron", "p150", "1x1")
    }
    assert told == pytest.approx(before, abs=2e-5)
    assert told["bfp_bf8"] < told["bfloat16"] < 1
