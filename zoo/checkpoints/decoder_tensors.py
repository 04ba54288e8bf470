"""Checkpoints of language models of Llama's kind: what each tensor becomes, and made-up ones by the same names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from pytest_tt.compare import flatten
from zoo.checkpoints.key_map import KeyMap, Rule, Target, Unused
from zoo.checkpoints.layouts import first_row
from zoo.checkpoints.loading import convert_tensors
from zoo.checkpoints.synthetic import coarse_uniform
from zoo.checkpoints.weights import nested

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zoo.layers.decoder_config import DecoderConfig

_LAYER = r"model\.layers\.(\d+)\."

_DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}

_EMBEDDING = (("params/embed/embedding", None), ("params/embed/first_row", first_row))

HEAD = r"lm_head\.weight"


def _scale(tensor: np.ndarray, config: DecoderConfig) -> np.ndarray:
    """The scale of a norm, of what is stored."""
    return tensor.astype(np.float32) + 1.0 if config.stored_less_one else tensor


def _rotates_alike(frequencies: np.ndarray, config: DecoderConfig) -> bool:
    """Whether the angles of a step are those of the config, to the digits of the tensor's dtype."""
    wanted = config.rotary.frequencies(config.head_dim)
    digits = 2.0**-7 if frequencies.dtype.itemsize == 2 else 1e-5
    return frequencies.shape == wanted.shape and np.allclose(frequencies.astype(np.float64), wanted, digits, 1e-7)


def key_map(config: DecoderConfig) -> KeyMap:
    """The key map of a ``…ForCausalLM``; a tied head beside the embedding must be the same, alone it stands for both.

    Older versions of transformers stored the frequencies of the rotation.
    """
    kinds = "weight|bias" if config.biased_heads else "weight"
    norms = "|".join(norm.removesuffix("_norm") for norm in config.norms)
    if config.tie_word_embeddings:
        head = Rule(HEAD, tuple(Target(path, convert, fallback=True) for path, convert in _EMBEDDING))
    else:
        head = Rule(HEAD, "params/head/weight")
    rules = [
        Rule(r"model\.embed_tokens\.weight", tuple(Target(path, convert) for path, convert in _EMBEDDING)),
        Rule(_LAYER + rf"self_attn\.([qkv])_proj\.({kinds})", "params/layers_{0}/attention/{1}/{2}"),
        Rule(_LAYER + r"self_attn\.o_proj\.weight", "params/layers_{0}/attention/o/weight"),
        Rule(_LAYER + r"mlp\.(gate|up|down)_proj\.weight", "params/layers_{0}/mlp/{1}/weight"),
        Rule(_LAYER + rf"({norms})_layernorm\.weight", "params/layers_{0}/{1}_norm/scale", _scale),
        Rule(r"model\.norm\.weight", "params/norm/scale", _scale),
        head,
    ]
    if config.normed_heads:
        rules.append(
            Rule(_LAYER + r"self_attn\.([qk])_norm\.weight", "params/layers_{0}/attention/{1}_norm/scale", _scale)
        )
    unused = Unused(_LAYER + r"self_attn\.rotary_emb\.inv_freq", "frequencies of the config's base", _rotates_alike)
    return KeyMap(rules=tuple(rules), unused=(unused,))


def hub_sizes(config: DecoderConfig) -> dict[str, Any]:
    """What config.json of every such model says of its sizes."""
    return {
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tie_word_embeddings,
        "vocab_size": config.vocab_size,
        "torch_dtype": config.dtype,
    }


SIZE = 0.1
"""About how large what the branches add up to is."""


def synthetic_checkpoint(
    model: str, config: DecoderConfig, seed: int = 0, scores: float = 1.0
) -> Iterator[tuple[str, np.ndarray]]:
    """Made-up tensors of `model`, in the config's dtype, by the names and in the order of the published checkpoints.

    Embeddings and what the branches add to them are small, so that each norm, the last one too, feels its epsilon.
    Scores spread by about 2, `scores` times as much where that is asked for, and biases are as large as the products:
    attention is far from uniform and every part shows in the logits.
    """
    width, inner, dtype = config.hidden_size, config.intermediate_size, _DTYPES[config.dtype]
    queries, keys = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    branch = SIZE / math.sqrt(2 * config.num_hidden_layers)

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        values = coarse_uniform(
            f"{model}/{config.name}/{name}", shape, low=middle - bound, high=middle + bound, seed=seed
        )
        return name, values.astype(dtype, copy=False)

    def weight(name: str, outputs: int, inputs: int, gain: float) -> tuple[str, np.ndarray]:
        return tensor(f"{name}.weight", (outputs, inputs), gain * math.sqrt(3.0 / inputs))

    def scale(name: str, width: int, middle: float = 1.0) -> tuple[str, np.ndarray]:
        return tensor(f"{name}.weight", (width,), middle / 2, middle - (1.0 if config.stored_less_one else 0.0))

    yield tensor("model.embed_tokens.weight", (config.vocab_size, width), 0.04 / config.embedding_scale)
    for index in range(config.num_hidden_layers):
        layer = f"model.layers.{index}"
        for name, outputs in (("q", queries), ("k", keys), ("v", keys)):
            times = scores if name == "q" else 1.0
            yield weight(f"{layer}.self_attn.{name}_proj", outputs, width, 1.3 * times)
            if config.biased_heads:
                yield tensor(f"{layer}.self_attn.{name}_proj.bias", (outputs,), 1.5 * times)
        if config.normed_heads:
            yield scale(f"{layer}.self_attn.q_norm", config.head_dim, 1.6 * scores)
            yield scale(f"{layer}.self_attn.k_norm", config.head_dim, 1.6)
        yield weight(f"{layer}.self_attn.o_proj", width, queries, branch)
        yield weight(f"{layer}.mlp.gate_proj", inner, width, 1.0)
        yield weight(f"{layer}.mlp.up_proj", inner, width, 1.0)
        yield weight(f"{layer}.mlp.down_proj", width, inner, 3 * branch)
        for norm in config.norms:
            middle = branch if norm in config.small_norms else 1.0
            yield scale(f"{layer}.{norm.removesuffix('_norm')}_layernorm", width, middle)
    yield scale("model.norm", width)
    if not config.tie_word_embeddings:
        yield weight("lm_head", config.vocab_size, width, 1.0)


def params_of(tensors: Iterable[tuple[str, np.ndarray]], config: DecoderConfig) -> dict[str, Any]:
    """The parameters that a checkpoint of `tensors` gives, in the dtypes of the module's, on the host."""
    leaves = flatten(convert_tensors(tensors, config, key_map(config)))
    norms = {path: leaf.astype(np.float32, copy=False) for path, leaf in leaves.items() if path.endswith("/scale")}
    return nested({**leaves, **norms})
