"""The README's table of where a model fits: written, read, and held to."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.targets.systems import SYSTEMS
from zoo import registry
from zoo.authoring import fit_table

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry import Model

GIB = 2**30
PLACE = "# A model\n\n<!-- fit: nothing yet -->\n<!-- end of fit -->\n\nAnd more.\n"


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """GPT-2 whose README says where two variants fit: everywhere, and not on n150."""
    model = replace(registry.model("gpt2"), folder=tmp_path)
    peaks = {("small", *where): GIB for where in fit_table.columns(model)}
    peaks |= {("other", *where): GIB for where in fit_table.columns(model)}
    peaks |= {("large", *where): 13 * GIB // (1 if where[0] == "n150" else 2) for where in fit_table.columns(model)}
    text = fit_table.replaced(PLACE, fit_table.text_of(model, peaks, "compiler 1.0"))
    fit_table.path_of(model).write_text(text, encoding="utf-8")
    return model


def made(peak: int | None) -> Any:
    return SimpleNamespace(dram_peak_bytes=peak)


def test_columns_are_the_widest_meshes_claimed() -> None:
    assert fit_table.columns(registry.model("qwen2_5")) == (
        ("n150", "1x1"), ("n300", "1x2"), ("t3k", "1x8"), ("galaxy", "8x4"), ("p100", "1x1"), ("p150", "1x1"),
        ("qb2", "1x4"), ("lb-blackhole", "1x8"), ("galaxy-bh", "8x4"),
    )  # fmt: skip


def test_written_and_read(model: Model) -> None:
    text = fit_table.path_of(model).read_text(encoding="utf-8")
    assert text.startswith("# A model\n\n<!-- fit: python -m zoo compile gpt2 --readme -->\n")
    assert text.endswith("<!-- end of fit -->\n\nAnd more.\n")
    assert "| `small`, `other` | 1.0 GiB | 1.0 GiB |" in text
    assert "| `large` | no, 13.0 GiB | 6.5 GiB |" in text
    told = fit_table.told(model)
    assert len(told) == 3 * len(fit_table.columns(model))
    large = {system: what for (variant, system, _), what in told.items() if variant == "large"}
    assert (large["n150"], large["t3k"]) == ((False, 13 * GIB), (True, 6.5 * GIB))
    again = fit_table.replaced(text, "table")
    assert again == "# A model\n\ntable\n\nAnd more.\n"


def test_held_to(model: Model) -> None:
    room = SYSTEMS["n300"].dram_bytes_per_chip

    def problems(variant: str, system: str, mesh: str, *peaks: int | None) -> list[str]:
        return fit_table.problems(model, variant, system, mesh, [made(peak) for peak in peaks])

    assert problems("small", "n300", "1x2", GIB // 2, GIB) == []
    assert problems("large", "n150", "1x1", 13 * GIB) == []
    assert problems("small", "n300", "1x2") == problems("small", "n300", "1x2", None) == []
    (problem,) = problems("small", "n300", "1x2", GIB, room + 1)
    assert problem == (
        "small needs 12.0 GiB a chip, n300 has 12.0 GiB; the README says that it fits: "
        "python -m zoo compile gpt2 --readme"
    )
    (problem,) = problems("large", "n150", "1x1", GIB)
    assert "the README says that it does not fit" in problem
    (problem,) = problems("small", "n300", "1x2", 2 * GIB)
    assert "small needs 2.0 GiB a chip, n300 has 12.0 GiB; the README says 1.0 GiB" in problem
    assert problems("large", "n300", "1x1", room + 1) == []  # it says nothing of this mesh
    # Of a variant that the README does not name, it says that it fits.
    assert problems("unnamed", "n300", "1x1", GIB) == []
    assert "says that it fits" in problems("unnamed", "n300", "1x1", room + 1)[0]


def test_without_a_table(tmp_path: Path) -> None:
    model = replace(registry.model("gpt2"), folder=tmp_path)
    assert fit_table.told(model) == {}
    with pytest.raises(ValueError, match="the README has no place for the table: put '<!-- fit"):
        fit_table.replaced("# A model\n", "table")
    fit_table.path_of(model).write_text(
        PLACE.replace("yet -->\n", "yet -->\n| a | n150 1x1 |\n| --- | --- |\n| `v` | much |\n"), encoding="utf-8"
    )
    with pytest.raises(ValueError, match="`v`, n150 1x1: 'much': expected a size, or 'no, ' before one"):
        fit_table.told(model)
