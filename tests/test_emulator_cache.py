"""Ops that write into a tensor in place."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated
from recorded.reading import BUILD

from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.machine import Machine
from pytest_tt.emulator.numerics import EXACT, chip
from pytest_tt.emulator.program import EmulatedProgram
from pytest_tt.tt_compiler.card_program import Compiler

CACHE = np.arange(2 * 3 * 4 * 2, dtype=np.float32).reshape(2, 3, 4, 2)  # batch, heads, slots, width
LAYOUT = "#ttnn.ttnn_layout<(d0) -> (d0), <1x1>, memref<1x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>"
TENSORS = "(tensor<2x3x4x2xf32, #l>, tensor<1x3x2x2xf32, #l>)"
FILL = f'"ttnn.fill_cache"(%arg0, %arg1) <{{batch_offset = 1 : i32}}> : {TENSORS} -> ()'


def test_fill_cache() -> None:
    values = -np.ones((1, 3, 2, 2), np.float32)
    expected = CACHE.copy()
    expected[1, :, :2] = -1
    types = "(tensor<2x3x4x2xf32>, tensor<1x3x2x2xf32>) -> tensor<2x3x4x2xf32>"
    found = emulated("fill_cache", "batch_offset = 1 : i32", types, jnp.asarray(CACHE), jnp.asarray(values))
    np.testing.assert_array_equal(found, expected)


def updated(slot: int, offset: int = 0) -> Any:
    values = -np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    types = "(tensor<2x3x4x2xf32>, tensor<1x3x2x2xf32>, tensor<1xsi32>) -> tensor<2x3x4x2xf32>"
    operands = (jnp.asarray(CACHE), jnp.asarray(values), jnp.asarray([slot], jnp.int32))
    return values, emulated("update_cache", f"batch_offset = {offset} : i32", types, *operands)


def test_update_cache() -> None:
    values, found = updated(2)
    expected = CACHE.copy()
    expected[:, :, 2] = values[0].transpose(1, 0, 2)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(updated(4)[1]).all()
    with pytest.raises(EmulationError, match="batch_offset is 1: expected 0"):
        updated(2, 1)


def paged(positions: list[int], *, table: Any = None, share: bool = False, cache: Any = CACHE, **more: Any) -> Any:
    """The values that are written, [rows, heads, width], and the cache."""
    rows, (pages, heads, slots, width) = len(positions), cache.shape
    values = -np.arange(rows * (heads + 1) * width, dtype=np.float32).reshape(1, rows, heads + 1, width)
    operands = [jnp.asarray(cache), jnp.asarray(values), jnp.asarray(positions, jnp.int32)]
    kind = f"tensor<{pages}x{heads}x{slots}x{width}xf32>"
    types = f"{kind}, tensor<1x{rows}x{heads + 1}x{width}xf32>, tensor<{rows}xsi32>"
    if table is not None:
        operands.append(jnp.asarray(table, jnp.int32))
        types += f", tensor<{rows}x{len(table[0])}xsi32>"
    attributes = f"share_cache = {str(share).lower()}"
    found = emulated("paged_update_cache", attributes, f"({types}) -> {kind}", *operands, **more)
    return values[0, :, :heads], np.asarray(found)


def test_paged_update_cache_writes_at_a_position_of_each_row() -> None:
    values, found = paged([3, 1])  # of one head more: padding
    expected = CACHE.copy()
    expected[0, :, 3], expected[1, :, 1] = values
    np.testing.assert_array_equal(found, expected)
    values, found = paged([-1, 1])  # -1: nothing
    expected[0] = CACHE[0]
    expected[1, :, 1] = values[1]
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(paged([4, 1])[1]).all(), "nothing is known if other memory is written"


def test_paged_update_cache_finds_pages_by_a_table() -> None:
    values, found = paged([5, 2], table=[[0, 1], [0, -1]])
    expected = CACHE.copy()
    expected[1, :, 1], expected[0, :, 2] = values
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(paged([5, 4], table=[[0, 1], [0, -1]])[1]).all(), "position 4 has no page"


def test_rows_share_a_cache() -> None:
    values, found = paged([0, 2, 0], share=True, cache=CACHE[:1])
    expected = CACHE[:1].copy()
    expected[0, :, 2], expected[0, :, 0] = values[1], values[2]
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(EmulationError, match="values for 3 rows of a cache of 2: expected 1"):
        paged([0, 2, 0], share=True)


def test_a_chip_writes_the_whole_tile_again_from_registers_of_16_bits() -> None:
    cache = np.full((1, 1, 64, 1), 1 + 2.0**-9, np.float32)
    _, found = paged([40], cache=cache, numerics=chip("wormhole"))
    expected = cache.copy()
    expected[0, 0, 32:], expected[0, 0, 40] = 1, 0
    np.testing.assert_array_equal(found, expected)


def filled(table: list[list[int]], which: list[int] | None = None) -> Any:
    """What is written, [rows, heads, 6, width], and the cache of two pages of four slots."""
    rows = 1 if which is None else len(which)
    values = -np.arange(rows * 36, dtype=np.float32).reshape(rows, 3, 6, 2)
    operands = [jnp.asarray(CACHE), jnp.asarray(values), jnp.asarray(table, jnp.int32)]
    types = f"tensor<2x3x4x2xf32>, tensor<{rows}x3x6x2xf32>, tensor<{len(table)}x{len(table[0])}xsi32>"
    if which is not None:
        operands.append(jnp.asarray(which, jnp.int32))
        types += f", tensor<{rows}xsi32>"
    return values, np.asarray(emulated("paged_fill_cache", "", f"({types}) -> tensor<2x3x4x2xf32>", *operands))


def test_paged_fill_cache() -> None:
    values, found = filled([[1, 0]])
    expected = CACHE.copy()
    expected[1], expected[0, :, :2] = values[0, :, :4], values[0, :, 4:]
    np.testing.assert_array_equal(found, expected)
    values, found = filled([[0, 1], [-1, 0]], which=[1])  # page -1: nothing
    expected = CACHE.copy()
    expected[0, :, :2] = values[0, :, 4:]
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(filled([[1, 2]])[1]).all(), "there is no page 2"
    with pytest.raises(EmulationError, match="1 rows of 1 pages of 4 slots for values of"):
        filled([[1]])


def program(main: str, more: str = "") -> EmulatedProgram:
    types = "%arg0: tensor<2x3x4x2xf32, #l>, %arg1: tensor<1x3x2x2xf32, #l>"
    returns = "return %arg0 : tensor<2x3x4x2xf32, #l>"
    head = f'({types}) -> tensor<2x3x4x2xf32, #l> attributes {{tt.function_type = "forward_device"}} {{'
    text = f"#dram = #ttnn.buffer_type<dram>\n#l = {LAYOUT}\nfunc.func public @main{head}\n{main}\n{returns}\n}}\n"
    if more:
        text += f"func.func private @part{head}\n{more}\n{returns}\n}}\n"
    return EmulatedProgram.read(text, compiler=Compiler(BUILD.package, BUILD.version, None), system="n150")


def test_what_was_written_is_there_afterwards() -> None:
    found = Machine(program(FILL), EXACT).main([jnp.asarray(CACHE), -jnp.ones((1, 3, 2, 2))])
    expected = CACHE.copy()
    expected[1, :, :2] = -1
    np.testing.assert_array_equal(found[0], expected)


def test_a_function_that_writes_into_its_callers_tensor_is_refused() -> None:
    call = f"%0 = call @part(%arg0, %arg1) : {TENSORS} -> tensor<2x3x4x2xf32, #l>"
    with pytest.raises(EmulationError, match=r"ttnn.fill_cache .*writes into a tensor of the function that calls it"):
        program(call, FILL)
