"""Public JAX models of the kinds that the zoo has, as programs to compile: functions, shapes, layers.

Each is imported as its authors wrote it: transformers' last Flax models from the installed package, the others from
checkouts below one folder. All parameters are abstract. Nothing is initialised or downloaded.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS, LENGTH = 8, 128
"""Rows of a batch and tokens of a row, as `zoo.programs` has them; a cache has twice as many slots."""

SLOTS = 2 * LENGTH


@dataclass(frozen=True, slots=True)
class Peer:
    """A model of others, and the zoo's that is nearest. `source`: a package of the index, or the folder of a checkout.

    make: folder of the checkouts -> function, its arguments, the positions of those that hold weights; and layers.
    """

    name: str
    source: str
    beside: str
    """``MODEL:VARIANT PROGRAM`` of the zoo."""
    make: Callable[[Path], tuple[Any, tuple[Any, ...], tuple[int, ...], int]]


def shape(*size: int, dtype: Any = np.int32) -> jax.ShapeDtypeStruct:
    """An array of that shape."""
    return jax.ShapeDtypeStruct(size, dtype)


def _abstract(tree: Any, floats: Any = None) -> Any:
    """Shapes of `tree`; floats of the type `floats`, if one is given."""

    def one(leaf: Any) -> jax.ShapeDtypeStruct:
        narrowed = floats if floats is not None and jnp.issubdtype(leaf.dtype, jnp.floating) else leaf.dtype
        return jax.ShapeDtypeStruct(leaf.shape, narrowed)

    return jax.tree.map(one, tree)


def _linen(module: Any, *inputs: Any, **settings: Any) -> Any:
    """Shapes of the variables of a linen module."""
    return _abstract(jax.eval_shape(lambda *given: module.init(jax.random.key(0), *given, **settings), *inputs))


def _gpt2(_: Path) -> Any:
    module, config = _transformers("gpt2", "GPT2Config", "FlaxGPT2LMHeadModule")
    inputs = (shape(ROWS, LENGTH),) * 3
    variables = _linen(module, *inputs, return_dict=False)

    def forward(params: Any, ids: Any, mask: Any, positions: Any) -> Any:
        return module.apply(params, ids, mask, positions, return_dict=False)

    return forward, (variables, *inputs), (0,), config.n_layer


def _gpt2_decode(_: Path) -> Any:
    module, config = _transformers("gpt2", "GPT2Config", "FlaxGPT2LMHeadModule")
    variables = _linen(module, *(shape(ROWS, SLOTS),) * 3, return_dict=False, init_cache=True)
    cache = variables.pop("cache")

    def decode(params: Any, cache: Any, ids: Any, mask: Any, positions: Any) -> Any:
        given = {**params, "cache": cache}
        return module.apply(given, ids, mask, positions, return_dict=False, mutable=["cache"])

    inputs = (shape(ROWS, 1), shape(ROWS, SLOTS), shape(ROWS, 1))
    return decode, (variables, cache, *inputs), (0,), config.n_layer


def _bert(_: Path) -> Any:
    module, config = _transformers("bert", "BertConfig", "FlaxBertForPreTrainingModule")
    inputs = (shape(ROWS, LENGTH),) * 4
    heads = shape(config.num_hidden_layers, config.num_attention_heads)
    variables = _linen(module, *inputs, heads, return_dict=False)

    def forward(params: Any, ids: Any, mask: Any, types: Any, positions: Any) -> Any:
        return module.apply(params, ids, mask, types, positions, None, return_dict=False)

    return forward, (variables, *inputs), (0,), config.num_hidden_layers


def _transformers(model: str, config: str, module: str) -> tuple[Any, Any]:
    """A linen module of transformers in the default size, which is the base one, and its config."""
    package = f"transformers.models.{model}"
    settings = getattr(importlib.import_module(f"{package}.configuration_{model}"), config)()
    return getattr(importlib.import_module(f"{package}.modeling_flax_{model}"), module)(settings), settings


def _flax_resnet(folder: Path) -> Any:
    models = _module(folder / "examples" / "imagenet", "models")
    module = models.ResNet50(num_classes=1000)
    images = shape(ROWS, 224, 224, 3, dtype=np.float32)
    variables = _linen(module, images, train=False)

    def forward(params: Any, images: Any) -> Any:
        return module.apply(params, images, train=False)

    return forward, (variables, images), (0,), 16


def _bonsai_resnet(folder: Path) -> Any:
    from flax import nnx

    models = _module(folder, "bonsai.models.resnet.modeling")
    config = models.ModelConfig.resnet50()
    graph, state = nnx.split(nnx.eval_shape(lambda: models.ResNet(config, rngs=nnx.Rngs(0))))

    def forward(state: Any, images: Any) -> Any:
        return nnx.merge(graph, state)(images)

    images = shape(ROWS, 224, 224, 3, dtype=np.float32)
    return forward, (_abstract(nnx.to_pure_dict(state)), images), (0,), sum(config.block_layers)


def _bonsai_qwen3(tokens: int) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        from flax import nnx

        models = _module(folder, "bonsai.models.qwen3.modeling")
        config = models.ModelConfig.qwen3_8b()
        graph, state = nnx.split(nnx.eval_shape(lambda: models.Qwen3(config, rngs=nnx.Rngs(0))))
        about, cache = nnx.split(
            nnx.eval_shape(lambda: nnx.List(models.init_cache(config, ROWS, LENGTH, LENGTH, jnp.bfloat16)))
        )

        def step(state: Any, cache: Any, ids: Any) -> Any:
            model, kept = nnx.merge(graph, state), nnx.merge(about, cache)
            logits = model(ids, cache=kept, segment_ids=jnp.ones_like(ids))
            return logits[:, -1], nnx.to_pure_dict(nnx.state(kept))

        weights = _abstract(nnx.to_pure_dict(state), jnp.bfloat16)
        return step, (weights, _abstract(nnx.to_pure_dict(cache)), shape(ROWS, tokens)), (0,), config.num_layers

    return make


def _tt_xla_qwen(tokens: int) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        models = _module(folder / "tests" / "jax" / "multi_chip" / "bounties" / "qwen2_5_7b", "model")
        models.mesh = jax.sharding.Mesh(np.array(jax.devices("tt")[:1]), ("mp",))
        config = {
            "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        }  # fmt: skip
        module = models.Qwen25ForCausalLM(config=config, dtype=jnp.bfloat16)
        ids, positions = shape(ROWS, tokens), shape(ROWS, tokens)
        before = shape(ROWS, SLOTS - tokens, 4, 128, dtype=jnp.bfloat16)
        past = [(before, before) for _ in range(28)] if tokens == 1 else None

        def step(params: Any, ids: Any, positions: Any, past: Any) -> Any:
            return module.apply(params, ids, None, positions, past)

        variables = jax.eval_shape(
            lambda *given: module.init(jax.random.key(0), given[0], None, *given[1:]), ids, positions
        )
        return step, (_abstract(variables, jnp.bfloat16), ids, positions, past), (0,), 28

    return make


def _module(folder: Path, name: str) -> Any:
    """A module of a checkout, whose folder is put on the path. FileNotFoundError without the checkout."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there")
    if "." not in name:
        sys.modules.pop(name, None)  # of another checkout
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


TRANSFORMERS = "transformers"

PEERS = (
    Peer("FlaxGPT2LMHeadModel, forward", TRANSFORMERS, "gpt2:gpt2 forward", _gpt2),
    Peer("FlaxGPT2LMHeadModel, decode", TRANSFORMERS, "gpt2:gpt2 decode", _gpt2_decode),
    Peer("FlaxBertForPreTraining, forward", TRANSFORMERS, "bert:bert-base-uncased forward", _bert),
    Peer("ResNet50 of examples/imagenet", "flax", "resnet:resnet-50 forward", _flax_resnet),
    Peer("ResNet-50", "bonsai", "resnet:resnet-50 forward", _bonsai_resnet),
    Peer("Qwen3-8B, prefill", "bonsai", "qwen2_5:qwen2.5-7b prefill", _bonsai_qwen3(LENGTH)),
    Peer("Qwen3-8B, decode", "bonsai", "qwen2_5:qwen2.5-7b decode", _bonsai_qwen3(1)),
    Peer("Qwen2.5-7B, prefill", "tt-xla", "qwen2_5:qwen2.5-7b prefill", _tt_xla_qwen(LENGTH)),
    Peer("Qwen2.5-7B, decode", "tt-xla", "qwen2_5:qwen2.5-7b decode", _tt_xla_qwen(1)),
)
