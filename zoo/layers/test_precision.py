"""What a model says of its precision is what it is traced to, and what its README shows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo import registry
from zoo.layers.precision import PARAMETERS

MODELS = {name: model for name, model in registry.models().items() if model.architecture.precision is not None}


@pytest.mark.parametrize("name", MODELS)
def test_precision(name: str) -> None:
    model = MODELS[name]
    precision = model.architecture.precision
    assert precision is not None
    assert precision.table() in (model.files / "README.md").read_text(encoding="utf-8")
    for variant in list(model.sources)[:1]:
        leaves = jax.tree.leaves(model.architecture.shapes(model.config(variant)))
        assert next(leaf for leaf in leaves if leaf.ndim > 1).dtype.name == precision.parameters
    config = model.config(model.small[0])
    if hasattr(config, "dtype"):
        config = replace(config, dtype="bfloat16")
    params, inputs = model.architecture.shapes(config), model.architecture.example(config)
    if precision.activations == PARAMETERS:
        params = jax.tree.map(_in_bfloat16, params)
    traced, results = jax.make_jaxpr(model.architecture.forward(model.architecture.build(config)), return_shape=True)(
        params, {key: _in_bfloat16(value) for key, value in inputs.items()}
    )
    found = {op: set(re.findall(rf":(\w+)\[[^\]]*\] = {op}\b", str(traced))) for op in ("exp", "rsqrt")}
    short = {"float32": {"f32"}, "none": set()}
    assert found["exp"] == short[precision.scores]
    assert found["rsqrt"] == short[precision.norms]
    expected = precision.outputs if precision.outputs in ("float32", "bfloat16") else "bfloat16"
    assert results["logits"].dtype.name == expected


def _in_bfloat16(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), jnp.bfloat16 if jnp.issubdtype(leaf.dtype, np.floating) else leaf.dtype)
