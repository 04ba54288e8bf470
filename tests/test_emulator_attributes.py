"""Attributes of ops are read whole, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_tt.emulator.attributes import AttributeTextError, Dense, Opaque, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("-3 : si32", -3),
        ("9.99999974E-6 : f32", 9.99999974e-6),
        ("0xFF800000 : f32", float("-inf")),
        ("0x3F80 : bf16", 1.0),
        ('"a, \\22b\\22"', 'a, "b"'),
        ("@main_case_branch_0", "main_case_branch_0"),
        ("[@one, @two]", ("one", "two")),
        ("[1 : i32, -2 : i32]", (1, -2)),
        ("array<i32: 3, 3>", (3, 3)),
        ("array<i64>", ()),
        ("#ttnn.shape<>", Opaque("ttnn.shape", "")),
        ("#ttnn<mesh_shape 1x2>", Opaque("ttnn.mesh_shape", "1x2")),
        ("#ttcore.reduce_type<sum>", Opaque("ttcore.reduce_type", "sum")),
        ("f32", Opaque("type", "f32")),
    ],
)
def test_each_form_has_its_value(text: str, value: object) -> None:
    found = parse(f"before = 1 : i32, it = {text}, after")
    assert found == {"before": 1, "it": value, "after": True}


def test_fields_of_a_dialects_attribute() -> None:
    text = "#ttnn.conv2d_config<weights_dtype = f32, activation = <op_type = relu>, enable = false>"
    (value,) = parse(f"conv2d_config = {text}").values()
    assert isinstance(value, Opaque)
    assert value.fields == {"weights_dtype": "f32", "activation": "<op_type = relu>", "enable": "false"}
    assert Opaque("ttnn.shape", "1x2").integers == (1, 2)
    with pytest.raises(AttributeTextError, match="expected sizes"):
        _ = value.integers


def test_constants() -> None:
    def array(text: str, **resources: str) -> Any:
        (value,) = parse(f"value = {text}", resources).values()
        assert isinstance(value, Dense)
        return value.array()

    assert array("dense<[[1, -2], [3, 4]]> : tensor<2x2xsi32>").tolist() == [[1, -2], [3, 4]]
    assert array("dense<1.500000e+00> : tensor<2x3xbf16>").astype(float).tolist() == [[1.5] * 3] * 2
    assert array('dense<"0x0000803F00000040"> : tensor<2xf32>').tolist() == [1.0, 2.0]
    assert array("dense<> : tensor<0xf32>").shape == (0,)
    # As MLIR prints it: the alignment in the first four bytes.
    assert array("dense_resource<k> : tensor<1xf32>", k="0x040000000000803F").tolist() == [1.0]
    with pytest.raises(AttributeTextError, match="constant k is not at the end of the module"):
        array("dense_resource<k> : tensor<1xf32>")
    with pytest.raises(AttributeTextError, match=r"of 3 values: expected the shape \(2,\)"):
        array("dense<[1, 2, 3]> : tensor<2xsi32>")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("= 1 : i32", "expected the name of an attribute"),
        ("a = 1 : i32, a = 2 : i32", "attribute a stands twice"),
        ("a = (d0) -> (d0)", "in a form that is not known"),
        ("a = 1.5 : i32", "'1.5' is not a number of type i32"),
        ("a = array<i32: 1, x>", "'x' is not a number of type i32"),
        ("a = dense<1> : tensor<2xc64>", "constant of c64"),
    ],
)
def test_what_is_not_understood_is_an_error(text: str, sentence: str) -> None:
    with pytest.raises(AttributeTextError, match=sentence):
        parse(text)
