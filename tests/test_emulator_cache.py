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
from pytest_tt.emulator.numerics import EXACT
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
