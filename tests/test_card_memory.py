"""Peak DRAM and the bound on time of compiled programs, against sums by hand."""

from __future__ import annotations

from recorded.reading import program, text

from pytest_tt.targets.chips import CHIPS
from pytest_tt.tt_compiler.memory import allocated_bytes, is_view, peak_memory
from pytest_tt.tt_compiler.ttnn_module import Layout
from pytest_tt.tt_compiler.ttnn_text import read

P150, N150 = CHIPS["p150"], CHIPS["n150"]
HEAD = """#dram = #ttnn.buffer_type<dram>
#big = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<64x64x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#half = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<64x64x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
"""
BIG, HALF = 64 * 64 * 4096, 64 * 64 * 2048


def peak(*ops: str, arguments: str = "%arg0: tensor<2048x2048xf32, #big>", more: str = "") -> int | None:
    """Of a program that runs `ops`."""
    lines = "\n".join(f"    {op} loc(unknown)" for op in ops)
    head = f'func.func public @main({arguments}) attributes {{tt.function_type = "forward_device"}} {{'
    return peak_memory(read(f"{HEAD}module {{\n{more}\n  {head}\n{lines}\n    return\n  }}\n}}"), P150).peak_bytes


def unary(result: str, operand: str, name: str = "ttnn.exp", before: str = "#big", after: str = "#big") -> str:
    return f'{result} = "{name}"({operand}) : (tensor<2048x2048xf32, {before}>) -> tensor<2048x2048xf32, {after}>'


def free(name: str, force: str = "false", layout: str = "#big") -> str:
    return f'"ttnn.deallocate"({name}) <{{force = {force}}}> : (tensor<2048x2048xf32, {layout}>) -> ()'


def test_what_is_freed_does_not_count_twice() -> None:
    assert peak() == BIG
    assert peak(unary("%0", "%arg0")) == 2 * BIG
    assert peak(unary("%0", "%arg0"), unary("%1", "%0"), unary("%2", "%1")) == 4 * BIG
    freeing = (unary("%0", "%arg0"), unary("%1", "%0"), free("%0"), unary("%2", "%1"), free("%1"))
    assert peak(*freeing) == 3 * BIG


def test_formats_count() -> None:
    assert peak(unary("%0", "%arg0", "ttnn.typecast", "#big", "#half")) == BIG + HALF


def test_arguments_are_the_callers() -> None:
    assert peak(free("%arg0"), unary("%0", "%arg0"), unary("%1", "%0")) == 3 * BIG


def test_views_share_their_buffer() -> None:
    view = '%1 = "ttnn.reshape"(%0) : (tensor<2048x2048xf32, #big>) -> tensor<32x64x2048xf32, #big>'
    later = '%2 = "ttnn.exp"(%1) : (tensor<32x64x2048xf32, #big>) -> tensor<32x64x2048xf32, #big>'
    assert peak(unary("%0", "%arg0"), view, free("%0"), later) == 3 * BIG, "the view still holds it"
    forced = (unary("%0", "%arg0"), view, free("%0", "true"), later)
    assert peak(*forced) == 2 * BIG
    copy = view.replace("32x64x2048", "2048x64x32")
    assert peak(unary("%0", "%arg0"), copy, later.replace("32x64x2048", "2048x64x32")) == 4 * BIG


def test_what_is_cached_stays() -> None:
    kind = '{tt.function_type = "const_eval"}'
    evaluate = f"""  func.func private @once() -> tensor<2048x2048xf32, #big> attributes {kind} {{
    %0 = "ttnn.full"() : () -> tensor<2048x2048xf32, #big> loc(unknown)
    %1 = "ttnn.exp"(%0) : (tensor<2048x2048xf32, #big>) -> tensor<2048x2048xf32, #big> loc(unknown)
    %2 = "ttnn.exp"(%1) : (tensor<2048x2048xf32, #big>) -> tensor<2048x2048xf32, #big> loc(unknown)
    return %2 : tensor<2048x2048xf32, #big>
  }}"""
    load = "%0 = ttcore.load_cached(@once, []) : () -> tensor<2048x2048xf32, #big>"
    assert peak(load, more=evaluate) == 4 * BIG, "while it is computed by the first call"
    steps = [unary(f"%{n + 1}", f"%{n}") for n in range(5)]
    assert peak(load, free("%0"), *steps, more=evaluate) == (1 + 1 + 5) * BIG


def test_pages_go_round_the_banks() -> None:
    one_tile = Layout((1, 1), (1, 1), "f32", (32, 32), "dram")
    assert allocated_bytes(one_tile, N150) == 12 * 4096
    assert allocated_bytes(one_tile, P150) == 8 * 4096
    assert allocated_bytes(Layout((1, 1), (9, 5), "f32", None, "dram"), P150) == 2 * 8 * 64, "rows of 20 bytes, aligned"
    assert allocated_bytes(Layout((1, 1), (1, 1), "f32", (32, 32), "l1"), P150) == 0
    assert allocated_bytes(Layout((1, 1), (1, 1), "q7", (32, 32), "dram"), P150) is None


def test_which_reshapes_are_views() -> None:
    (reshape,) = (op for op in read(text("low_precision")).main.ops if op.short_name == "reshape")
    assert is_view(reshape), "128x96 to 4x32x96: whole tiles, same columns"
    moved = text("low_precision").replace("tensor<4x32x96xbf16", "tensor<4x96x32xbf16")
    (reshape,) = (op for op in read(moved).main.ops if op.short_name == "reshape")
    assert not is_view(reshape), "other columns"


def test_peak_and_fit_of_a_program() -> None:
    found = program("mlp")
    assert found.dram_bytes == N150.dram_bytes
    assert found.fits is True
    # Rows, over 12 banks: 8 of x, 64 of w, one of b, 128 of v.
    arguments = 12 * 256 + 72 * 512 + 12 * 512 + 132 * 128
    assert found.memory.argument_bytes == arguments
    assert found.dram_peak_bytes is not None
    assert found.dram_peak_bytes > arguments


def test_bound_of_a_product() -> None:
    found = program("low_precision")
    product = next(bound for bound in found.bounds if bound.op.short_name == "matmul")
    assert product.flops == 2 * 128 * 64 * 96
    tiles = (4 * 2 + 2 * 3 + 4 * 3) * 2048
    assert product.dram_bytes == tiles
    assert product.dram_s == tiles / 288e9
    assert product.compute_s == product.flops / (64 * 1e9 * 4096 / 4)
    assert product.seconds == max(product.dram_s, product.compute_s)
    assert found.flops == product.flops
    reshape = next(bound for bound in found.bounds if bound.op.short_name == "reshape")
    assert reshape.seconds == 0, "a view"


def test_bound_of_a_convolution_and_a_loop() -> None:
    assert program("convolution").flops == 2 * (2 * 16 * 16 * 64) * (3 * 3 * 32)
    assert program("loop").flops == 6 * 2 * 32**3, "six steps"
    bounds = program("loop").bounds
    assert {bound.times for bound in bounds} == {1, 6}


def test_of_branches_the_fastest_counts() -> None:
    found = program("branches")
    assert {bound.op.short_name for bound in found.bounds} & {"sin", "cos"} == {"cos"}
    assert found.flops == 0


def test_bound_of_a_collective() -> None:
    found = program("collectives", "t3k", "2x4")
    received = {bound.op.short_name: bound.link_bytes for bound in found.bounds if bound.link_bytes}
    held = 32 * 64 * 4
    assert received == {"all_reduce": 2 * held * 3 // 4, "all_gather": 3 * held, "reduce_scatter": 3 * held}
    gather = next(bound for bound in found.bounds if bound.op.short_name == "all_gather")
    assert gather.link_s == 3 * held / (2 * 2 * 12.5e9), "from two neighbours, over two links each"
    pair = program("tensor_parallel", "n300", "1x2")
    reduce = next(bound for bound in pair.bounds if bound.op.short_name == "all_reduce")
    assert reduce.link_s == 32 * 64 * 4 / (2 * 12.5e9), "from one neighbour"


def test_the_bound_is_the_sum() -> None:
    found = program("mlp")
    assert found.roofline_s == sum(bound.seconds for bound in found.bounds)
    faster = program("mlp", "p150")
    assert faster.roofline_s is not None
    assert found.roofline_s is not None
    assert faster.roofline_s < found.roofline_s
