"""Parameters of T5: from checkpoints in Hugging Face's layout, or made up for goldens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.hub import Source
from zoo.checkpoints.layouts import first_row, transposed
from zoo.checkpoints.loading import KeyMap, Rule, Target, Unused, convert_tensors
from zoo.checkpoints.synthetic import coarse_uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from zoo.t5.model import T5Config

SOURCES = {
    "flan-t5-small": Source("google/flan-t5-small", "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab"),
    "flan-t5-base": Source("google/flan-t5-base", "7bcac572ce56db69c1ea7c8af255c5d7c9672fc2"),
    "flan-t5-large": Source("google/flan-t5-large", "0613663d0d48ea86ba8cb3d7a44f0f65dc596a2a"),
    "flan-t5-xl": Source("google/flan-t5-xl", "7d6315df2c2fb742f0f5b556879d730926ca9001"),
}

_ENCODER, _DECODER = r"encoder\.block\.(\d+)\.layer\.", r"decoder\.block\.(\d+)\.layer\."


def _dense(names: str, target: str) -> Rule:
    return Rule(names + r"\.weight", f"params/{target}/kernel", transposed)


def _attention(names: str, target: str) -> tuple[Rule, ...]:
    return tuple(_dense(rf"{names}\.{part}", f"{target}/{part}") for part in "qkvo")


def _mlp(names: str, target: str) -> tuple[Rule, ...]:
    parts = {"wi_0": "gate", "wi_1": "up", "wo": "down"}
    return tuple(
        _dense(rf"{names}\.DenseReluDense\.{theirs}", f"{target}/mlp/{ours}") for theirs, ours in parts.items()
    )


def _norm(names: str, target: str) -> Rule:
    return Rule(names + r"\.weight", f"params/{target}/scale")


def _words(*, fallback: bool) -> tuple[Target, ...]:
    return (
        Target("params/shared/embedding", fallback=fallback),
        Target("params/shared/first_row", first_row, fallback=fallback),
    )


_HEAD = Target("params/lm_head/kernel", transposed, fallback=True, may_differ="a head of its own is stored")

KEY_MAP = KeyMap(
    rules=(
        # Without a head in the file, transformers 5 ties it to the words; `KEYS` refuses that where config.json says
        # that it is not tied.
        Rule(r"shared\.weight", (*_words(fallback=False), _HEAD)),
        Rule(r"(?:encoder|decoder)\.embed_tokens\.weight", _words(fallback=True)),
        _dense("lm_head", "lm_head"),
        Rule(_ENCODER + r"0\.SelfAttention\.relative_attention_bias\.weight", "params/encoder_bias/embedding"),
        _norm(_ENCODER + r"0\.layer_norm", "encoder_{0}/attention_norm"),
        *_attention(_ENCODER + r"0\.SelfAttention", "encoder_{0}/attention"),
        _norm(_ENCODER + r"1\.layer_norm", "encoder_{0}/mlp_norm"),
        *_mlp(_ENCODER + "1", "encoder_{0}"),
        _norm(r"encoder\.final_layer_norm", "encoder_norm"),
        Rule(_DECODER + r"0\.SelfAttention\.relative_attention_bias\.weight", "params/decoder_bias/embedding"),
        _norm(_DECODER + r"0\.layer_norm", "decoder_{0}/attention_norm"),
        *_attention(_DECODER + r"0\.SelfAttention", "decoder_{0}/attention"),
        _norm(_DECODER + r"1\.layer_norm", "decoder_{0}/cross_norm"),
        *_attention(_DECODER + r"1\.EncDecAttention", "decoder_{0}/cross"),
        _norm(_DECODER + r"2\.layer_norm", "decoder_{0}/mlp_norm"),
        *_mlp(_DECODER + "2", "decoder_{0}"),
        _norm(r"decoder\.final_layer_norm", "decoder_norm"),
    ),
    unused=(
        Unused(
            _DECODER + r"1\.EncDecAttention\.relative_attention_bias\.weight",
            "in the first files: attention to what was read has no distances, and transformers drops it too",
        ),
    ),
)


def key_map(config: T5Config) -> KeyMap:
    """What each tensor of T5ForConditionalGeneration becomes; the same for all sizes."""
    return KEY_MAP


def hub_config(config: T5Config) -> dict[str, Any]:
    """The config.json of a checkpoint of `config`."""
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "vocab_size": config.vocab_size,
        "d_model": config.hidden_size,
        "d_kv": config.head_dim,
        "d_ff": config.intermediate_size,
        "num_layers": config.num_hidden_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "num_heads": config.num_attention_heads,
        "relative_attention_num_buckets": config.relative_attention_num_buckets,
        "relative_attention_max_distance": config.relative_attention_max_distance,
        "layer_norm_epsilon": config.rms_norm_eps,
        "feed_forward_proj": "gated-gelu",
        "is_encoder_decoder": True,
        "tie_word_embeddings": False,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


SIZE = 0.05
"""About how large what the branches add up to is: small, so that each norm feels its epsilon."""


def synthetic_checkpoint(config: T5Config, seed: int = 0, scores: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
    """Names and tensors of a made-up checkpoint, by the names that save_pretrained gives them.

    Scores spread by about 2, `scores` times as much where that is asked for, and distances count as much: attention is
    far from uniform and every part shows in the logits.
    """
    hidden, inner, width = config.hidden_size, config.intermediate_size, config.num_attention_heads * config.head_dim
    stacks = (("encoder", config.num_hidden_layers, 2), ("decoder", config.num_decoder_layers, 3))

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        values = coarse_uniform(f"t5/{config.name}/{name}", shape, low=middle - bound, high=middle + bound, seed=seed)
        return name, values

    def dense(name: str, inputs: int, outputs: int, gain: float = 1.0) -> tuple[str, np.ndarray]:
        return tensor(f"{name}.weight", (outputs, inputs), gain * math.sqrt(3.0 / inputs))

    def norm(name: str) -> tuple[str, np.ndarray]:
        return tensor(f"{name}.weight", (hidden,), 0.5, middle=1.0)

    yield tensor("shared.weight", (config.vocab_size, hidden), 0.02)
    for stack, layers, branches in stacks:
        small = SIZE / math.sqrt(branches * layers)
        for index in range(layers):
            layer = f"{stack}.block.{index}.layer"
            for at, attention in enumerate(("SelfAttention", "EncDecAttention")[: branches - 1]):
                yield norm(f"{layer}.{at}.layer_norm")
                yield dense(f"{layer}.{at}.{attention}.q", hidden, width, scores * 1.5 / math.sqrt(config.head_dim))
                yield dense(f"{layer}.{at}.{attention}.k", hidden, width, 1.3)
                yield dense(f"{layer}.{at}.{attention}.v", hidden, width)
                yield dense(f"{layer}.{at}.{attention}.o", width, hidden, small)
                if index == at == 0:
                    shape = (config.relative_attention_num_buckets, config.num_attention_heads)
                    yield tensor(f"{layer}.0.SelfAttention.relative_attention_bias.weight", shape, 3.0)
            last = f"{layer}.{branches - 1}"
            yield norm(f"{last}.layer_norm")
            yield dense(f"{last}.DenseReluDense.wi_0", hidden, inner)
            yield dense(f"{last}.DenseReluDense.wi_1", hidden, inner)
            yield dense(f"{last}.DenseReluDense.wo", inner, hidden, 2 * small)
        yield norm(f"{stack}.final_layer_norm")
    yield dense("lm_head", hidden, config.vocab_size)


def synthetic_params(config: T5Config, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """Parameters (NumPy) of the made-up checkpoint, with which the golden of `config` is made."""
    return convert_tensors(synthetic_checkpoint(config, seed, scores), config, KEY_MAP)
