"""The recorded JAX programs: what each computes, and how far the recorded result was from float64.

TT's compiler compiled them, ttnn 0.81.1's kernels executed them on a simulated Blackhole chip (ttsim 1.10.0). Their
operands were not kept: the emulator runs the same programs on others, of the same distributions.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import pytest_tt
from pytest_tt.emulator.numerics import EXACT, chip
from pytest_tt.emulator.run import Emulator
from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.lowering import lower

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ENABLE_X64 = getattr(jax, "enable_x64", None) or importlib.import_module("jax.experimental").enable_x64  # jax 0.7
FACTOR = 1.5
"""How far the predicted error may be from the recorded one."""
DRAWS = 12
"""Of operands, whose errors are averaged (as root of the mean square)."""


@dataclass(frozen=True)
class JaxProgram:
    """`shapes` are those of normal operands; `recorded` is the relative L2 error of the recorded result."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    recorded: float
    options: Mapping[str, str] = field(default_factory=dict)
    weight_dtype: str = "float32"
    operands: tuple[tuple[float, ...], ...] = ()
    """Instead of random ones, where the recording's are known."""
    size: float = 0.0
    """Norm of the recorded result, where it has so few numbers that they may cancel: draws of other sizes, by more than
    a fifth, are passed over."""
    weights: bool = True
    """Whether the operands after the first are weights."""


def _dense(x: Any, *weights: Any) -> Any:
    for at, (kernel, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        x = (jax.nn.relu(x) if at else x) @ kernel + bias
    return x


def _classes(*operands: Any) -> Any:
    return jax.nn.softmax(_dense(*operands))


def _attention(query: Any, key: Any, value: Any) -> Any:
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key) / np.sqrt(query.shape[-1]).astype(query.dtype)
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores), value)


def _norm(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * (1 + 0.1 * scale) + shift


def _block(x: Any, qkv: Any, out: Any, up: Any, down: Any, *norms: Any) -> Any:
    batch, length, width = x.shape
    heads = _norm(x, *norms[:2]) @ qkv
    query, key, value = heads.reshape(batch, length, 3, 4, width // 4).transpose(2, 0, 3, 1, 4)
    x = x + _attention(query, key, value).transpose(0, 2, 1, 3).reshape(x.shape) @ out
    return x + jax.nn.gelu(_norm(x, *norms[2:]) @ up, approximate=True) @ down


def _convolution(x: Any, first: Any, second: Any, *dense: Any) -> Any:
    for kernel in (first, second):
        x = jax.nn.relu(
            jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        )
        # The recording's pools take bfloat16, and so did the script that executed the program; jax-tt-plugin's float32.
        x = x.astype(jnp.bfloat16).astype(jnp.float32) if x.dtype == jnp.float32 else x
        x = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
        x = x.astype(jnp.bfloat16).astype(jnp.float32) if x.dtype == jnp.float32 else x
    return _dense(x.reshape(x.shape[0], -1), *dense)


_MEGATRON = ((4, 64), (64, 256), (256,), (256, 64), (64,))
_BLOCK = ((1, 16, 32), (32, 96), (32, 32), (32, 128), (128, 32), (32,), (32,), (32,), (32,))
PROGRAMS = (
    JaxProgram("dot3", lambda a, b: a @ b, ((3,), (3,)), 0.0, operands=((1, 2, 3), (4, 5, 6))),
    JaxProgram("dense32", lambda x, kernel: x @ kernel, ((4, 32), (32, 32)), 1.447e-3),
    JaxProgram("mlp", _classes, ((5, 4), (4, 16), (16,), (16, 3), (3,)), 1.158e-3),
    JaxProgram("mlp_dense", lambda x, kernel: x @ kernel, ((4, 8), (8, 8)), 1.244e-3),
    JaxProgram("mlp_sum", _dense, ((4, 4), (4, 32), (32,), (32, 1), (1,)), 4.424e-3, size=0.210),
    JaxProgram("mlp_megatron", _dense, _MEGATRON, 2.578e-3),
    JaxProgram("meg_hifi2", _dense, _MEGATRON, 1.362e-2, {"math_fidelity": "hifi2"}),
    JaxProgram("meg_lofi", _dense, _MEGATRON, 5.781e-2, {"math_fidelity": "lofi"}),
    JaxProgram("meg_acc16", _dense, _MEGATRON, 1.076e-2, {"fp32_dest_acc_en": "false"}),
    JaxProgram("meg_bfp8", _dense, _MEGATRON, 2.578e-3, {"experimental_weight_dtype": "bfp_bf8"}),
    JaxProgram("meg_bfp4", _dense, _MEGATRON, 2.578e-3, {"experimental_weight_dtype": "bfp_bf4"}),
    JaxProgram("attn", _attention, ((1, 2, 8, 16),) * 3, 2.402e-3, weights=False),
    JaxProgram("block", _block, _BLOCK, 2.829e-3),
    JaxProgram("block_bf16", _block, _BLOCK, 1.320e-3, weight_dtype="bfloat16"),
    JaxProgram(
        "cnn_digits",
        _convolution,
        ((2, 8, 8, 1), (3, 3, 1, 8), (3, 3, 8, 16), (64, 32), (32,), (32, 10), (10,)),
        2.918e-3,
    ),
)


def _drawn(program: JaxProgram, at: int, rng: np.random.Generator) -> Any:
    """As Flax begins with: kernels of variance one over what they sum, biases zero."""
    shape = program.shapes[at]
    values = rng.standard_normal(shape)
    if not program.weights or at == 0:
        return values
    return values / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else np.zeros(shape)


def predicted(program: JaxProgram, draws: int = DRAWS) -> tuple[list[float], list[float]]:
    """Relative L2 errors that a simulated Blackhole chip makes, a draw each, and those of exact numerics.

    Raises TTCompileError.
    """
    pytest_tt.open_chips("1x1", backend="sim")
    mesh = jax.sharding.Mesh(np.asarray(jax.devices("tt")[:1]).reshape(1, 1), ("rows", "columns"))
    placement = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    dtypes = [jnp.dtype(program.weight_dtype if at else "float32") for at in range(len(program.shapes))]
    shapes = [
        jax.ShapeDtypeStruct(shape, dtype, sharding=placement)
        for shape, dtype in zip(program.shapes, dtypes, strict=True)
    ]
    lowered = lower(jax.jit(program.function), shapes)
    card = compile_program(lowered, system="p150", options=dict(program.options), limit_s=120)
    emulators = [Emulator.of(card, lowered, mesh, numerics) for numerics in (chip("blackhole"), EXACT)]
    errors: list[list[float]] = [[], []]
    with _ENABLE_X64(True):
        exact = jax.jit(program.function, backend="cpu")
    rng = np.random.default_rng(0)
    while len(errors[0]) < draws:
        values = program.operands or [_drawn(program, at, rng) for at in range(len(program.shapes))]
        given = [
            jax.device_put(jnp.asarray(value, dtype), placement) for value, dtype in zip(values, dtypes, strict=True)
        ]
        with _ENABLE_X64(True):
            expected = np.asarray(exact(*(jnp.asarray(np.asarray(x).astype(np.float64)) for x in given)))
        size = np.linalg.norm(expected)
        if program.size and abs(size - program.size) > program.size / 5:
            continue
        for emulator, found in zip(emulators, errors, strict=True):
            (result,) = emulator(*given)
            found.append(float(np.linalg.norm(np.asarray(result).astype(np.float64) - expected) / size))
    return errors[0], errors[1]


def mean(errors: list[float]) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


def within(program: JaxProgram, errors: list[float]) -> bool:
    """Whether the recorded error is within `FACTOR` of the predicted one."""
    if program.recorded == 0:
        return mean(errors) < 1e-7
    return 1 / FACTOR <= mean(errors) / program.recorded <= FACTOR


def main() -> int:
    """Prints a line per program; exit code 1 if an error is further than `FACTOR` from the recorded one."""
    apart = 0
    for program in PROGRAMS:
        errors, exact = predicted(program)
        fits = within(program, errors)
        apart += not fits
        print(
            f"{program.name:13} predicted {mean(errors):.2e}  recorded {program.recorded:.2e}  "
            f"exact numerics {mean(exact):.1e}{'' if fits else '  not within ' + str(FACTOR)}",
            flush=True,
        )
    return int(apart > 0)


if __name__ == "__main__":
    sys.exit(main())
