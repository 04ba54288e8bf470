"""Reading the text of compiled programs."""

from __future__ import annotations

import pytest
from recorded.reading import FILE, HERE, line_of, text

from pytest_tt.tt_compiler.locations import Locations
from pytest_tt.tt_compiler.ttnn_module import Layout, TTNNTextError
from pytest_tt.tt_compiler.ttnn_text import read


def test_functions_and_arguments() -> None:
    module = read(text("loop"))
    kinds = {name: function.kind for name, function in module.functions.items()}
    assert kinds["main"] == "forward_device"
    assert kinds["main_counted_loop"] == "forward_device"
    assert set(kinds.values()) == {"forward_device", "const_eval"}
    assert module.main.name == "main"
    assert [argument.role for argument in module.main.arguments] == ["input", "input"]
    assert [argument.type.shape for argument in module.main.arguments if argument.type] == [(32, 32), (6, 32, 32)]
    assert module.unread == ()


def test_every_line_of_the_recorded_programs_is_read() -> None:
    names = sorted(path.name.partition(".")[0] for path in HERE.glob("*.ttnn.mlir"))
    assert len(names) == 10
    for name in names:
        module = read(text(name))
        assert module.unread == ()
        ops = [op for function in module.functions.values() for op in function.ops]
        assert len(ops) == text(name).count('"ttnn.') + text(name).count('"ttcore.') + text(name).count(
            "ttcore.load_cached("
        )
        for op in ops:
            for kind in (*op.operand_types, *op.result_types):
                assert kind is None or (kind.layout is not None and kind.layout.stored_bytes is not None)


def test_op_with_layouts_and_location() -> None:
    module = read(text("mlp"))
    linear = next(op for op in module.main.ops if op.name == "ttnn.linear")
    assert linear.short_name == "linear"
    assert linear.operands == ("%0", "%1", "%2")
    assert [kind.shape for kind in linear.operand_types if kind] == [(8, 64), (64, 128), (128,)]
    assert linear.attribute("transpose_b") == "false"
    assert linear.attribute("nothing") is None
    layout = linear.operand_types[1].layout if linear.operand_types[1] else None
    assert layout == Layout((1, 1), (2, 4), "f32", (32, 32), "dram")
    assert layout.stored_bytes == 2 * 4 * 4096
    assert linear.location.place == f"{FILE}:{line_of('jax.nn.relu(x @ w + b)')}"
    assert linear.location.frames[0].function == "mlp.<locals>.run"
    relu = next(op for op in module.main.ops if op.name == "ttnn.relu")
    assert relu.location.name == "jit(run)/jit(relu)/max"


def test_attributes_that_are_numbers() -> None:
    convolution = next(op for op in read(text("convolution")).main.ops if op.short_name == "conv2d")
    assert convolution.integers("kernel_size") == (3, 3)
    assert convolution.integers("in_channels") == (32,)
    assert convolution.integers("nothing") == ()


def test_what_a_loop_and_branches_run() -> None:
    module = read(text("loop"))
    names = [op.short_name for op in module.walk(module.main)]
    assert names.index("while_loop") < names.index("matmul")
    module = read(text("branches"))
    names = [op.short_name for op in module.walk(module.main)]
    assert {"sin", "cos", "matmul"} <= set(names)
    assert "full" not in names, "computed once, and cached"


def test_mesh() -> None:
    assert read(text("mlp")).mesh == (1, 1)
    assert read(text("collectives")).mesh == (2, 4)


@pytest.mark.parametrize(
    ("layout", "stored"),
    [
        (Layout((1, 1), (2, 3), "bf16", (32, 32), "dram"), 6 * 2048),
        (Layout((1, 1), (2, 3), "bfp_bf8", (32, 32), "dram"), 6 * 1088),
        (Layout((8, 8), (1, 2), "bf16", (32, 32), "l1"), 128 * 2048),
        (Layout((1, 1), (5, 7), "si32", None, "dram"), 140),
        (Layout((1, 1), (2, 3), "bfp_bf9", (32, 32), "dram"), None),
        (Layout((1, 1), (2, 3), "bf16", (16, 32), "dram"), None),
        (Layout((1, 1), (5, 7), "f128", None, "dram"), None),
    ],
)
def test_bytes_of_a_layout(layout: Layout, stored: int | None) -> None:
    assert layout.stored_bytes == stored


@pytest.mark.parametrize(
    "grid",
    ["8x8", "8x8, (d0, d1) -> (0, d0, d1)", "8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1)"],
)
def test_layouts_that_are_sharded_over_cores(grid: str) -> None:
    memory = "memref<1x2x!ttcore.tile<32x32, bf16>, #l1>, <block_sharded>"
    layout = f"#ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <{grid}>, {memory}>"
    head = "func.func public @main(%arg0: tensor<256x512xbf16, #layout>) {"
    module = read(f"#l1 = #ttnn.buffer_type<l1>\n#layout = {layout}\n{head}\n}}")
    kind = module.main.arguments[0].type
    assert kind is not None
    assert kind.layout == Layout((8, 8), (1, 2), "bf16", (32, 32), "l1")


def test_a_form_that_is_not_known_is_said() -> None:
    changed = text("mlp").replace('"ttnn.relu"(%3)', "ttnn.relu %3", 1)
    (line,) = read(changed).unread
    assert "ttnn.relu %3" in line
    assert line.startswith("line ")


def test_text_that_is_no_program() -> None:
    with pytest.raises(TTNNTextError, match=r"no 'func\.func' in the text"):
        read("module {}")
    with pytest.raises(TTNNTextError, match="0 public functions of the device"):
        _ = read("func.func private @f() {\n}").main


def test_what_the_host_computes_is_kept_apart() -> None:
    cpu = """
module {
  ttcore.device_module {
    func.func public @main(%arg0: tensor<4xf32, #l>) attributes {tt.function_type = "forward_device"} {
      %0 = call @hoisted(%arg0) : (tensor<4xf32, #l>) -> tensor<4xf32, #l> loc(unknown)
      return
    }
    func.func private @hoisted(tensor<4xf32, #l>) -> tensor<4xf32, #l>
  }
  ttcore.cpu_module {
    func.func @hoisted(%arg0: tensor<4xf32>) -> tensor<4xf32> {
      %0 = linalg.generic {a} ins(%arg0 : tensor<4xf32>) {
      ^bb0(%in: f32):
        linalg.yield %in : f32
      } -> tensor<4xf32>
      return %0 : tensor<4xf32>
    }
  }
}"""
    module = read(cpu)
    assert module.functions["cpu:hoisted"].kind == "cpu"
    assert [op.name for op in module.functions["cpu:hoisted"].ops] == ["linalg.generic", "linalg.yield"]
    assert [op.name for op in module.walk(module.main)] == ["func.call"]


def test_locations() -> None:
    aliases = {
        "#loc1": 'loc("/u/model.py":12:8 to :30)',
        "#loc2": 'loc("/u/site-packages/flax/linen.py":3:1)',
        "#loc3": 'loc("f"(#loc2))',
        "#loc4": 'loc("g"(#loc1))',
        "#loc5": "loc(callsite(#loc3 at #loc4))",
    }
    found = Locations(aliases).resolve('"jit(f)/add"(#loc5)')
    assert found.name == "jit(f)/add"
    assert [(frame.line, frame.function) for frame in found.frames] == [(3, "f"), (12, "g")]
    assert found.place == "/u/model.py:12", "the innermost of the user's"
    assert Locations(aliases).resolve("unknown").place is None
    assert Locations({"#loc1": "loc(#loc1)"}).resolve("#loc1").frames == ()
