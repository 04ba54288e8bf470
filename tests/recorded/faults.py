"""What TT's compiler makes of programs that it computes wrongly, or was thought to, and of what to write instead.

python tests/recorded/faults.py record      # compile them: the texts are in faults/; or only those that are named
python tests/recorded/faults.py             # execute the texts, exactly, against XLA: a line of JSON for each
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE.parent)]

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402
from jax.experimental.xla_metadata import set_xla_metadata  # noqa: E402
from jax.sharding import NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402
from recorded.reading import BUILD  # noqa: E402

import pytest_tt  # noqa: E402
from benchmarks import emulating  # noqa: E402
from benchmarks.emulated import REFUSED, Emulated  # noqa: E402
from benchmarks.programs import Argument, Program, f32, i32  # noqa: E402
from pytest_tt.emulator.errors import EmulationError  # noqa: E402
from pytest_tt.emulator.numerics import EXACT, chip  # noqa: E402
from pytest_tt.emulator.run import Emulator  # noqa: E402
from pytest_tt.tt_compiler import card_program  # noqa: E402
from pytest_tt.tt_compiler.artifact import Artifact  # noqa: E402
from pytest_tt.tt_compiler.lowering import lower  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tt.tt_compiler.card_program import CardProgram

X = f32(32, 64)
SPREAD = X.spread(None, "model")
COLUMNS = (None, "model")
ZERO = np.float32(0)
SCALE = np.float32(0.25)
CACHE, NEW, ONE = f32(2, 4, 32, 32), f32(1, 4, 2, 32), f32(2, 4, 1, 32)


def whole(x: jax.Array, mesh: Any) -> jax.Array:
    """`x` gathered to all chips."""
    return lax.with_sharding_constraint(x, NamedSharding(mesh, P()))


def along_one_axis_first(x: jax.Array, mesh: Any) -> jax.Array:
    """`x`, split by both axes, gathered along the one that varies fastest."""
    return lax.with_sharding_constraint(x, NamedSharding(mesh, P(None, "batch")))


def cumsum_in_parts(x: jax.Array, mesh: Any) -> jax.Array:
    """The sums of each chip's part, and those of the parts before it."""

    def on_a_chip(part: jax.Array) -> jax.Array:
        totals = lax.all_gather(part.sum(1), "model")
        before = jnp.arange(len(totals)) < lax.axis_index("model")
        return jnp.cumsum(part, 1) + jnp.where(before[:, None], totals, 0).sum(0)[:, None]

    spec = P(None, "model")
    return jax.shard_map(on_a_chip, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)(x)


def doubled(x: jax.Array, mesh: Any) -> jax.Array:
    """Each chip doubles its part."""
    spec = P(None, "model")
    return jax.shard_map(lambda part: 2 * part, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)(x)


def split_then_doubled(x: jax.Array, mesh: Any) -> jax.Array:
    """Split first, in an op of its own."""
    return doubled(lax.with_sharding_constraint(x, NamedSharding(mesh, P(None, "model"))), mesh)


def written(cache: jax.Array, new: jax.Array, at: jax.Array) -> jax.Array:
    """The cache, [batch, heads, slots, width], with `new` in the slot of each row: on the card in place."""

    def in_place(*operands: jax.Array) -> jax.Array:
        kind = jax.ShapeDtypeStruct(cache.shape, cache.dtype)
        with set_xla_metadata(batch_offset="0"):
            return jax.ffi.ffi_call("tt.update_cache", kind, input_output_aliases={0: 0})(*operands)

    def selected(cache: jax.Array, new: jax.Array, at: jax.Array) -> jax.Array:
        here = jnp.arange(cache.shape[2]) == at[:, None]
        return jnp.where(here[:, None, :, None], new.transpose(2, 1, 0, 3), cache)

    return lax.platform_dependent(cache, new, at, tt=in_place, default=selected)


def attention(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array) -> jax.Array:
    return jax.nn.softmax(query @ key.swapaxes(2, 3) * SCALE + bias) @ value


def attention_scaled_last(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array) -> jax.Array:
    return jax.nn.softmax((query @ key.swapaxes(2, 3) + bias / SCALE) * SCALE) @ value


def order_by_two_keys(first: jax.Array, second: jax.Array) -> jax.Array:
    """Sorted by the second key, then by the first one, which keeps the order of equal elements."""
    order = jnp.argsort(second, stable=True)
    return order[jnp.argsort(first[order], stable=True)]


def spread(name: str, function: Callable[..., Any], *arguments: Argument, out: Any = COLUMNS) -> Program:
    """A program on two chips."""
    return Program(name, function, arguments, mesh="1x2", out=out)


def gathered(name: str, function: Callable[..., Any]) -> Program:
    """A program on eight chips, which split the columns by both axes of the mesh: each gets all of the result."""
    return Program(name, function, (X.spread(None, ("batch", "model")),), mesh="2x4", out=())


def single(name: str, function: Callable[..., Any], *arguments: Argument) -> Program:
    """A program on one chip."""
    return Program(name, function, arguments)


PROGRAMS = (
    spread("reverse", lambda x: x[:, ::-1], SPREAD),
    spread("reverse_instead", lambda x, mesh: whole(x, mesh)[:, ::-1], SPREAD),
    spread("cumsum", lambda x: jnp.cumsum(x, axis=1), SPREAD),
    spread("cumsum_instead", cumsum_in_parts, SPREAD),
    gathered("gather_two_axes", lambda x: x + 1),
    gathered("gather_two_axes_instead", lambda x, mesh: along_one_axis_first(x + 1, mesh)),
    spread("update", lambda x, u, i: lax.dynamic_update_slice(x, u, (0, i[0])), SPREAD, f32(32, 1), i32(1)),
    spread("update_instead", lambda x, u, i: jnp.where(jnp.arange(64) == i[0], u, x), SPREAD, f32(32, 1), i32(1)),
    spread("whole", doubled, X),
    spread("whole_instead", split_then_doubled, X),
    single("old_cache", lambda c, x, i: (written(c, x, i), c * 2), CACHE, NEW, i32(2)),
    single("old_cache_instead", lambda c, x, i: (c * 2, written(c, x, i)), CACHE, NEW, i32(2)),
    single("one_query", attention, ONE, CACHE, CACHE, f32(2, 4, 1, 32)),
    single("one_query_instead", attention_scaled_last, ONE, CACHE, CACHE, f32(2, 4, 1, 32)),
    spread("iota", lambda x: x + lax.broadcasted_iota(jnp.float32, x.shape, 1), SPREAD),
    spread("slice", lambda x: x[:, 8:40] * 2, SPREAD),
    spread("dynamic_slice_spread", lambda x, i: lax.dynamic_slice(x, (0, i[0] + 40), (32, 16)), SPREAD, i32(1), out=()),
    single("dynamic_slice_beyond", lambda x, i: lax.dynamic_slice(x, (i[0] + 40, 0), (8, 64)), X, i32(1)),
    single("reduce_a_plus_2b", lambda x: lax.reduce(x, ZERO, lambda a, b: a + 2 * b, (1,)), X),
    single("reduce_instead", lambda x: 2 * jnp.sum(x, axis=1), X),
    single("sum_from_one", lambda x: lax.reduce(x, np.float32(1), lax.add, (1,)), X),
    single("sum_from_one_instead", lambda x: 1 + jnp.sum(x, axis=1), X),
    single("sort_by_two_keys", lambda x, y: lax.sort((x, y), num_keys=2), i32(64), f32(64)),
    single("sort_instead", lambda x, y: y[order_by_two_keys(x, y)], i32(64), f32(64)),
    single("nan_mask", lambda x, y: jnp.where(jnp.isnan(x + y), 0, x), *[Argument((32, 64), "bfloat16")] * 2),
    single("nan_mask_instead", lambda x, y: jnp.where(jnp.isnan(x), 0, x), *[Argument((32, 64), "bfloat16")] * 2),
)
"""What must come of them is in tests/test_compiler_faults.py."""


def made(program: Program, devices: list[jax.Device]) -> tuple[Any, Any, CardProgram]:
    """The jitted function, as it is lowered, and what the compiler made of it, as recorded."""
    function, shapes = program.lowerable(devices)
    lowered = lower(function, shapes)
    text = (HERE / "faults" / f"{program.name}.ttnn.mlir").read_text(encoding="utf-8")
    card = card_program.read(Artifact("", text), program.system, program.mesh, BUILD, lowered.text, name=program.name)
    return function, lowered, card


def execute(devices: list[jax.Device]) -> None:
    for program in PROGRAMS:
        function, lowered, card = made(program, devices)
        mesh = program.on(devices)
        given = emulating.placed(program, mesh)
        numerics = EXACT
        if program.name.startswith("nan_mask"):
            given[0] = given[0].at[0, :8].set(jnp.nan)
            numerics = chip("wormhole")
        try:
            result = emulating.compared(Emulator.of(card, lowered, mesh, numerics), lowered, given, function)
        except EmulationError as error:
            result = Emulated(REFUSED, reason=error.sentence)
        print(json.dumps({"name": program.name, **asdict(result)}), flush=True)


def record(devices: list[jax.Device], *names: str) -> None:
    from pytest_tt.tt_compiler.compile import compile_program

    for program in PROGRAMS:
        if names and program.name not in names:
            continue
        text = compile_program(lower(*program.lowerable(devices)), system=program.system).ttnn
        for place, name in ((HERE, "/home/user"), (ROOT, "/home/user"), (Path(sys.prefix), "/home/user/venv")):
            text = text.replace(str(place), name)
        (HERE / "faults" / f"{program.name}.ttnn.mlir").write_text(
            text.replace(sys.base_prefix, "/usr"), encoding="utf-8"
        )


if __name__ == "__main__":
    pytest_tt.open_chips("2x4", backend="sim")
    if sys.argv[1:2] == ["record"]:
        record(jax.devices("tt"), *sys.argv[2:])
    else:
        execute(jax.devices("tt"))
