"""Parameters: what each tensor of a GPT2LMHeadModel checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.checkpoints.layouts import first_row
from zoo.checkpoints.loading import KeyMap, Rule, Target, Unused, convert_tensors
from zoo.checkpoints.synthetic import coarse_uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo.gpt2.model import GPT2Config

# Published checkpoints name the tensors without the prefix, save_pretrained of the LM head model with it.
_PREFIX = r"(?:transformer\.)?"
_LAYER = _PREFIX + r"h\.(\d+)\."


def _third(index: int) -> Callable[[np.ndarray, GPT2Config], np.ndarray]:
    """Queries, keys or values of the fused projection: thirds of its last axis."""

    def take(tensor: np.ndarray, config: GPT2Config) -> np.ndarray:
        return np.split(tensor, 3, axis=-1)[index]

    return take


def _no_bias(tensor: np.ndarray, config: GPT2Config) -> np.ndarray:
    return np.zeros(len(tensor), tensor.dtype)


def _dense(names: str, target: str) -> tuple[Rule, Rule]:
    """A Conv1D of transformers: its weight is [in, out], as flax has it."""
    return (
        Rule(_LAYER + names + r"\.weight", f"params/h_{{0}}/{target}/kernel"),
        Rule(_LAYER + names + r"\.bias", f"params/h_{{0}}/{target}/bias"),
    )


def _norm(names: str, target: str) -> tuple[Rule, Rule]:
    return Rule(names + r"\.weight", f"params/{target}/scale"), Rule(names + r"\.bias", f"params/{target}/bias")


def _fused(leaf: str) -> tuple[Target, ...]:
    return tuple(Target(f"params/h_{{0}}/attn/{name}/{leaf}", _third(i)) for i, name in enumerate("qkv"))


def _is_causal(mask: np.ndarray, config: GPT2Config) -> bool:
    """Whether [1, 1, queries, keys] is 1 up to the query's own position and 0 behind it."""
    return mask.ndim == 4 and bool((mask == np.tri(*mask.shape[2:], dtype=np.bool_)).all())


def _is_as_none(score: np.ndarray, config: GPT2Config) -> bool:
    """Whether the exponential of such a score is 0 beside any other."""
    return bool((score < -9e3).all())


_WORDS = (("params/wte/embedding", None), ("params/wte/first_row", first_row), ("params/lm_head/bias", _no_bias))

KEY_MAP = KeyMap(
    rules=(
        Rule(_PREFIX + r"wte\.weight", tuple(Target(path, convert) for path, convert in _WORDS)),
        # The head is tied to wte: stored beside it, it must be the same; stored alone, it stands for both.
        Rule(r"lm_head\.weight", tuple(Target(path, convert, fallback=True) for path, convert in _WORDS)),
        Rule(_PREFIX + r"wpe\.weight", "params/wpe/embedding"),
        *_norm(_LAYER + r"ln_1", "h_{0}/ln_1"),
        Rule(_LAYER + r"attn\.c_attn\.weight", _fused("kernel")),
        Rule(_LAYER + r"attn\.c_attn\.bias", _fused("bias")),
        *_dense(r"attn\.c_proj", "attn/out"),
        *_norm(_LAYER + r"ln_2", "h_{0}/ln_2"),
        *_dense(r"mlp\.c_fc", "fc"),
        *_dense(r"mlp\.c_proj", "proj"),
        *_norm(_PREFIX + r"ln_f", "ln_f"),
    ),
    # Older versions stored masks.
    unused=(
        Unused(_LAYER + r"attn\.bias", "each position attends to those up to itself", _is_causal),
        Unused(_LAYER + r"attn\.masked_bias", "a score so low that it counts as none", _is_as_none),
    ),
)


def key_map(config: GPT2Config) -> KeyMap:
    """The key map of GPT2LMHeadModel; the same for all sizes."""
    return KEY_MAP


def hub_config(config: GPT2Config) -> dict[str, Any]:
    """What ``config.json`` of a checkpoint of this size says."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "n_layer": config.num_hidden_layers,
        "n_embd": config.hidden_size,
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_position_embeddings,
        "vocab_size": config.vocab_size,
        "layer_norm_epsilon": config.layer_norm_eps,
        "bos_token_id": config.vocab_size - 1,
        "eos_token_id": config.vocab_size - 1,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def synthetic_checkpoint(config: GPT2Config, seed: int = 0, scores: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
    """Made-up float32 tensors by the names that transformers' save_pretrained gives them.

    Embeddings and what the branches add to them are small, so that each norm, the last one too, feels its epsilon.
    Scores spread by about 2, `scores` times as much where that is asked for, and biases are as large as the products:
    attention is far from uniform and every part shows in the logits.
    """
    width, inner = config.hidden_size, config.intermediate_size
    branch = SIZE / math.sqrt(2 * config.num_hidden_layers)
    queries = np.repeat(np.array([scores, 1.0, 1.0], np.float32), width)  # of the fused projection

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        name = f"transformer.{name}"
        values = coarse_uniform(f"gpt2/{config.name}/{name}", shape, low=middle - bound, high=middle + bound, seed=seed)
        return name, values

    def norm(name: str) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.weight", (width,), 0.5, middle=1.0)
        yield tensor(f"{name}.bias", (width,), 0.5)

    def dense(name: str, inputs: int, outputs: int, gain: float, bias: float) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.weight", (inputs, outputs), gain * math.sqrt(3.0 / inputs))
        yield tensor(f"{name}.bias", (outputs,), bias * gain)

    yield tensor("wte.weight", (config.vocab_size, width), 0.05)
    yield tensor("wpe.weight", (config.max_position_embeddings, width), 0.05)
    for index in range(config.num_hidden_layers):
        layer = f"h.{index}"
        yield from norm(f"{layer}.ln_1")
        for name, values in dense(f"{layer}.attn.c_attn", width, 3 * width, 1.3, bias=1.2):
            yield name, values if scores == 1.0 else values * queries
        yield from dense(f"{layer}.attn.c_proj", width, width, branch, bias=0.5)
        yield from norm(f"{layer}.ln_2")
        yield from dense(f"{layer}.mlp.c_fc", width, inner, 1.0, bias=0.5)
        yield from dense(f"{layer}.mlp.c_proj", inner, width, 4 * branch, bias=0.4)
    yield from norm("ln_f")


SIZE = 0.1
"""About how large what the branches add up to is."""


def synthetic_params(config: GPT2Config, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """The parameters that `checkpoint` gives, float32 on the host."""
    return convert_tensors(synthetic_checkpoint(config, seed, scores), config, KEY_MAP)
