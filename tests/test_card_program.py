"""What a compiled program is said to hold, from recorded texts of TT's compiler."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded.reading import BUILD, FILE, line_of, program, text

from pytest_tt.tt_compiler import card_program
from pytest_tt.tt_compiler.artifact import Artifact
from pytest_tt.tt_compiler.ttnn_module import TTNNTextError


def test_ops() -> None:
    assert program("mlp").ops == {"linear": 1, "matmul": 1, "relu": 1, "to_layout": 4}
    assert program("loop").ops["matmul"] == 1, "the body of a loop counts once"
    assert "sin" not in program("constants").ops, "computed once, and cached"


def test_collectives_by_the_names_of_xla() -> None:
    assert program("mlp").collectives == {}
    assert program("tensor_parallel", "n300", "1x2").collectives == {"all-reduce": 1}
    found = program("collectives", "t3k", "2x4")
    assert found.ops["point_to_point"] == 8, "as many sends for one permutation"
    assert found.collectives == {"all-gather": 1, "all-reduce": 1, "collective-permute": 1, "reduce-scatter": 1}


def test_collectives_that_are_made_of_sends() -> None:
    found = program("exchanges", "t3k", "2x4")
    assert found.ops["point_to_point"] > 20
    assert found.collectives == {"all-to-all": 1, "collective-permute": 2}
    assert replace(found, ttir="").collectives == {"collective-permute": 1}, "at least"


def test_ops_of_a_line() -> None:
    found = program("mlp")
    line = line_of("hidden @ v")
    for place in (f"programs.py:{line}", f"{FILE}:{line}", line):
        assert [op.short_name for op in found.ops_at(place)] == ["matmul", "deallocate", "deallocate"]
    assert found.ops_at(f"model.py:{line}") == ()
    assert found.ops_at(f"grams.py:{line}") == ()
    with pytest.raises(ValueError, match=r"'mlp' is not a line of source: expected FILE:LINE"):
        found.ops_at("mlp")


def test_the_largest_tensor_and_where_it_is_used() -> None:
    found = program("mlp").largest
    assert found is not None
    op, size = found
    assert (op.short_name, op.location.place) == ("linear", f"{FILE}:{line_of('x @ w + b')}")
    assert size == 12 * 4096, "eight tiles; each of the twelve banks reserves one"


def test_compiler_and_name() -> None:
    found = program("mlp")
    assert (found.name, found.system, found.mesh) == ("mlp", "n150", "1x1")
    assert str(found.compiler) == "jax-tt-plugin 0.1.3 (tt-mlir 614f605f)"
    assert found.ttnn == text("mlp")
    assert "ttnn" not in repr(found)


def test_no_host_ops_in_what_the_chips_run() -> None:
    for name in ("mlp", "loop", "branches", "convolution", "constants"):
        assert program(name).host_ops == {}


def test_host_ops() -> None:
    hoisted = text("mlp").replace(
        '%4 = "ttnn.relu"(%3) : ', "%4 = func.call @cpu_hoisted_relu(%3) {ttir.cpu_hoisted_call} : ", 1
    )
    assert program("mlp", ttnn=hoisted + CPU_MODULE).host_ops == {"relu": 1}
    layout = "#ttnn_layout8 = "
    on_the_host = text("mlp").replace(layout, f"{layout}#ttnn_layout_host\n#not_used = ", 1)
    on_the_host = on_the_host.replace(
        "#ttnn_layout = ",
        "#system_memory = #ttnn.buffer_type<system_memory>\n#ttnn_layout_host = "
        "#ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x4x!ttcore.tile<32x32, f32>, #system_memory>>\n"
        "#ttnn_layout = ",
        1,
    )
    assert program("mlp", ttnn=on_the_host).host_ops == {"linear": 1, "relu": 1}


CPU_MODULE = """
ttcore.cpu_module {
  func.func @cpu_hoisted_relu(%arg0: tensor<8x128xf32>) -> tensor<8x128xf32> {
    %0 = "ttir.relu"(%arg0) : (tensor<8x128xf32>) -> tensor<8x128xf32>
    return %0 : tensor<8x128xf32>
  }
}
"""


def test_upstream() -> None:
    assert program("mlp").upstream == ()
    (finding,) = program("loop").upstream
    assert finding.name == "while"
    assert finding.location.place == f"{FILE}:{line_of('lax.scan(step')}"
    assert [finding.name for finding in program("branches").upstream] == ["case"]


def test_what_is_not_understood_is_said() -> None:
    strange = text("mlp").replace('"ttnn.relu"(%3)', "ttnn.relu %3", 1)
    found = program("mlp", ttnn=strange)
    assert found.dram_peak_bytes is None
    assert found.fits is None
    assert found.roofline_s is None
    assert "ttnn.relu %3" in found.unknown[0]
    format_of_tomorrow = text("mlp").replace(
        "memref<2x4x!ttcore.tile<32x32, f32>", "memref<2x4x!ttcore.tile<32x32, q7>"
    )
    found = program("mlp", ttnn=format_of_tomorrow)
    assert found.dram_peak_bytes is None
    assert found.roofline_s is None
    assert any("q7" in reason for reason in found.unknown)
    assert found.ops["matmul"] == 1, "the rest is there"


def test_on_the_chips_of_another_system() -> None:
    found = program("mlp")
    other = found.on("p150")
    assert (other.system, other.ops, other.module) == ("p150", found.ops, found.module)
    assert other.dram_bytes > found.dram_bytes
    assert other.roofline_s is not None
    assert found.roofline_s is not None
    assert other.roofline_s < found.roofline_s
    assert found.system == "n150"


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"'n400' is not a system: expected one of n150, n300"):
        program("mlp").on("n400")
    with pytest.raises(ValueError, match=r"'n400' is not a system: expected one of n150, n300"):
        card_program.read(Artifact("", text("mlp")), "n400", "1x1", BUILD, text("mlp", "stablehlo"))
    with pytest.raises(TTNNTextError):
        card_program.read(Artifact("", "garbage"), "n150", "1x1", BUILD, text("mlp", "stablehlo"))
