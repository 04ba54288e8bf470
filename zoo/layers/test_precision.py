"""What a model says of its precision is what it is traced to, and what its README shows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_tt.compare import Bounds, compare
from pytest_tt.golden import load
from zoo import registry
from zoo.emulated import in_bfloat16
from zoo.layers.precision import DECODER, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator

LESSONS = {"cnn", "mlp"}
"""Those that say nothing: as short as they can be, and float32."""

MODELS = {name: registry.model(name) for name in registry.names() if name not in LESSONS}

DECODERS = [name for name, model in MODELS.items() if model.architecture.precision is DECODER]


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
    if precision.activations in (PARAMETERS, "float32"):
        params = jax.tree.map(_in_bfloat16, params)
    traced, results = jax.make_jaxpr(model.architecture.forward(model.architecture.build(config)), return_shape=True)(
        params, {key: _in_bfloat16(value) for key, value in inputs.items()}
    )
    found = {op: set(re.findall(rf":(\w+)\[[^\]]*\] = {op}\b", str(traced))) for op in ("exp", "rsqrt")}
    short = {"float32": {"f32"}, "none": set()}
    assert found["exp"] == short[precision.scores]
    assert found["rsqrt"] == short[precision.norms]
    heads = {PARAMETERS: {"bfloat16"}, "float32": {"float32"}, "none": set()}
    assert set(_factors_of_scores(traced.jaxpr)) == heads[precision.heads]
    expected = precision.outputs if precision.outputs in ("float32", "bfloat16") else "bfloat16"
    assert {found.dtype.name for name, found in results.items() if name.startswith("logits")} == {expected}


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.writer is not None])
def test_parameters_in_bfloat16(name: str) -> None:
    """Of models with an encoder all else is float32, keys and values that are kept as well."""
    model, golden = MODELS[name], load(MODELS[name].golden_path("tiny"))
    module, rounded = model.architecture.build(model.config_of("tiny")), in_bfloat16(model.weights_of("tiny"))
    read = [value for key, value in golden.inputs.items() if key != "decoder_input_ids"]
    first = np.zeros(len(read[0]), np.int32)
    with jax.default_device(jax.devices("cpu")[0]):
        outputs = jax.jit(model.architecture.forward(module))(rounded, golden.inputs)
        memory, cache = jax.eval_shape(lambda: module.apply(rounded, 8, *read, method="encode"))
        step = jax.eval_shape(lambda *kept: module.apply(rounded, first, first, *kept, method="decode"), memory, cache)
    made = [leaf.dtype for leaf in jax.tree.leaves((outputs, memory, cache, step))]
    assert {dtype.name for dtype in made if jnp.issubdtype(dtype, jnp.floating)} == {"float32"}
    outputs = {key: np.asarray(value) for key, value in outputs.items()}
    verdict = compare(model.selected("tiny", outputs), golden.outputs, backend="hw", bounds=Bounds(pcc=0.999))
    assert verdict.passed, verdict.text()


@pytest.mark.parametrize("name", DECODERS)
def test_residual_sum_of_decoders(name: str) -> None:
    model = MODELS[name]
    precision, config = model.architecture.precision, replace(model.config(model.small[0]), dtype="bfloat16")
    assert precision is not None
    module, params, inputs = (
        model.architecture.build(config),
        model.architecture.shapes(config),
        model.architecture.example(config),
    )
    ids = inputs["input_ids"]

    def prompt(params: Any, ids: jax.Array, last: jax.Array) -> Any:
        return module.apply(params, ids, last, ids.shape[1], method="prefill")

    for function, arguments, dtype in (
        (model.architecture.forward(module), (params, inputs), precision.residual),
        (prompt, (params, ids, np.zeros(len(ids), np.int32)), "bfloat16"),
    ):
        traced = jax.make_jaxpr(function)(*arguments)
        sums = list(_sums(traced.jaxpr, (ids.size, config.hidden_size)))
        assert sums == [dtype] * 2 * config.num_hidden_layers


def _sums(jaxpr: Any, shape: tuple[int, ...]) -> Iterator[str]:
    """The dtype of each addition of two arrays of `shape`."""
    for equation in _equations(jaxpr):
        if equation.primitive.name == "add" and {each.aval.shape for each in equation.invars} == {shape}:
            yield equation.outvars[0].aval.dtype.name


def _factors_of_scores(jaxpr: Any) -> Iterator[str]:
    """Dtypes of both factors of each product [..., queries, size] x [..., keys, size], of heads."""
    for equation in _equations(jaxpr):
        if equation.primitive.name == "dot_general":
            contracted, batch = equation.params["dimension_numbers"]
            if contracted == ((3,), (3,)) and batch == ((0, 1), (0, 1)):
                yield from (factor.aval.dtype.name for factor in equation.invars)


def _equations(jaxpr: Any) -> Iterator[Any]:
    """All of them, those of inner functions too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda value: hasattr(value, "eqns")):
            if hasattr(inner, "eqns"):
                yield from _equations(inner)


def _in_bfloat16(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), jnp.bfloat16 if jnp.issubdtype(leaf.dtype, np.floating) else leaf.dtype)
