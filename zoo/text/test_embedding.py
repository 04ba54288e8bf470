"""The table that look-up and head share: the same rows on any mesh, and NaN for ids that are not tokens."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from pytest_tt.tt_compiler.upstream import refused
from zoo.text.embedding import Embedding, first_rows, shape_of

TOKENS, WIDTH = 10, 3


def made(mesh: Any) -> tuple[Embedding, dict[str, Any]]:
    """Of 10 tokens and padding, on the chips of `mesh`."""
    chips = mesh.shape["model"]
    rows = -(-TOKENS // chips) * chips
    table = np.arange(1, rows * WIDTH + 1, dtype=np.float32).reshape(rows, WIDTH)
    params = {"embedding": table, "first_row": first_rows(rows, chips)}
    specs = {"embedding": P("model", None), "first_row": P("model")}
    placed = {name: jax.device_put(leaf, NamedSharding(mesh, specs[name])) for name, leaf in params.items()}
    return Embedding(TOKENS, rows, WIDTH, mesh=shape_of(mesh)), {"params": placed}


@pytest.mark.tt(mesh=["1x1", "2x1", "1x4", "2x4"])
def test_rows_and_no_tokens(tt_mesh: Any, tt_jit: Any) -> None:
    module, params = made(tt_mesh)
    ids = np.array([[0, 2, 9, 5], [-1, TOKENS, TOKENS + 1, 1_000_000]], np.int32)
    look_up = tt_jit(module.apply, out_shardings=NamedSharding(tt_mesh, P("batch", None, None)))
    found = np.asarray(look_up(params, jax.device_put(ids, NamedSharding(tt_mesh, P("batch", None)))))
    (program,) = look_up.programs
    assert refused(program.stablehlo) == ()
    assert program.collectives in ({"all-reduce": 1} if tt_mesh.shape["model"] > 1 else {}, None)
    np.testing.assert_array_equal(found[0], np.arange(1, TOKENS * WIDTH + 1).reshape(TOKENS, WIDTH)[ids[0]])
    assert not np.isfinite(found[1]).any()


@pytest.mark.tt(mesh="1x4")
def test_numbers_of_rows_made_floats(tt_mesh: Any) -> None:
    """bfloat16 has 8 bits: rows of real vocabularies would be others."""
    module, params = made(tt_mesh)
    halved = jax.tree.map(lambda leaf: leaf.astype("bfloat16"), params)
    with pytest.raises(TypeError, match="first_row is bfloat16, expected int32: it holds numbers of rows"):
        jax.eval_shape(module.apply, halved, jax.ShapeDtypeStruct((1, 2), "int32"))
