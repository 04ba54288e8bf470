from __future__ import annotations

import pytest

from pytest_tt.targets.mesh import MeshShape


def test_parse_and_print() -> None:
    shape = MeshShape.parse("8x4")
    assert (shape.rows, shape.cols, shape.chips, str(shape)) == (8, 4, 32, "8x4")


@pytest.mark.parametrize(
    "text", ["", "8", "x", "1x", "x2", "0x2", "1x0", "-1x2", "1X2", "1x2x3", " 1x2", "1x2\n", "01x2", "2by4", "१x२"]
)
def test_bad_text_names_value_and_form(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        MeshShape.parse(text)
    assert str(caught.value) == f"{text!r} is not a mesh: expected ROWSxCOLS with whole numbers from 1, e.g. 1x8"


def test_absurd_size_is_refused() -> None:
    with pytest.raises(ValueError, match="mesh 8x400 has 3200 chips: at most 512"):
        MeshShape.parse("8x400")
