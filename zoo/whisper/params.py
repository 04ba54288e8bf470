"""Parameters of Whisper: from checkpoints in Hugging Face's layout, or made up for goldens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.hub import Source
from zoo.checkpoints.layouts import first_row, transposed
from zoo.checkpoints.loading import KeyMap, Rule, Target, convert_tensors
from zoo.checkpoints.synthetic import coarse_uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from zoo.whisper.model import WhisperConfig

SOURCES = {
    "whisper-tiny": Source("openai/whisper-tiny", "169d4a4341b33bc18d8881c4b69c2e104e1cc0af"),
    "whisper-base": Source("openai/whisper-base", "e37978b90ca9030d5170a5c07aadb050351a65bb"),
    "whisper-small": Source("openai/whisper-small", "973afd24965f72e36ca33b3055d56a652f456b4d"),
    "whisper-medium": Source("openai/whisper-medium", "abdf7c39ab9d0397620ccaea8974cc764cd0953e"),
    "whisper-large-v2": Source("openai/whisper-large-v2", "ae4642769ce2ad8fc292556ccea8e901f1530655"),
    "whisper-large-v3": Source("openai/whisper-large-v3", "06f233fe06e710322aca913c1bc4249a0d71fce1"),
    "whisper-large-v3-turbo": Source("openai/whisper-large-v3-turbo", "41f01f3fe87f28c78e2fbf8b568835947dd65ed9"),
}

_ENCODER, _DECODER = r"model\.encoder\.layers\.(\d+)\.", r"model\.decoder\.layers\.(\d+)\."


def _neighbours(tensor: np.ndarray, config: WhisperConfig) -> np.ndarray:
    """A convolution's [out, in, 3] as [3 * in, out]: the three neighbours in time beside each other."""
    return tensor.transpose(2, 1, 0).reshape(-1, tensor.shape[0])


def _both(names: str, target: str, convert: Any = transposed) -> tuple[Rule, Rule]:
    return (
        Rule(names + r"\.weight", f"params/{target}/kernel", convert),
        Rule(names + r"\.bias", f"params/{target}/bias"),
    )


def _norm(names: str, target: str) -> tuple[Rule, Rule]:
    return Rule(names + r"\.weight", f"params/{target}/scale"), Rule(names + r"\.bias", f"params/{target}/bias")


def _attention(names: str, target: str) -> tuple[Rule, ...]:
    return (
        *_both(rf"{names}\.q_proj", f"{target}/q"),
        Rule(rf"{names}\.k_proj\.weight", f"params/{target}/k/kernel", transposed),
        *_both(rf"{names}\.v_proj", f"{target}/v"),
        *_both(rf"{names}\.out_proj", f"{target}/o"),
    )


def _layer(names: str, target: str) -> tuple[Rule, ...]:
    return (
        *_norm(names + "self_attn_layer_norm", f"{target}/attention_norm"),
        *_attention(names + "self_attn", f"{target}/attention"),
        *_norm(names + "final_layer_norm", f"{target}/mlp_norm"),
        *_both(names + "fc1", f"{target}/mlp/up"),
        *_both(names + "fc2", f"{target}/mlp/down"),
    )


def _words(*, fallback: bool) -> tuple[Target, ...]:
    return (
        Target("params/words/embedding", fallback=fallback),
        Target("params/words/first_row", first_row, fallback=fallback),
    )


KEY_MAP = KeyMap(
    rules=(
        *_both(r"model\.encoder\.conv1", "conv_1", _neighbours),
        *_both(r"model\.encoder\.conv2", "conv_2", _neighbours),
        Rule(r"model\.encoder\.embed_positions\.weight", "params/encoder_positions/embedding"),
        *_layer(_ENCODER, "encoder_{0}"),
        *_norm(r"model\.encoder\.layer_norm", "encoder_norm"),
        Rule(r"model\.decoder\.embed_tokens\.weight", _words(fallback=False)),
        # The head is tied to the words: stored beside them, it must be the same; stored alone, it stands for both.
        Rule(r"proj_out\.weight", _words(fallback=True)),
        Rule(r"model\.decoder\.embed_positions\.weight", "params/positions/embedding"),
        *_layer(_DECODER, "decoder_{0}"),
        *_norm(_DECODER + "encoder_attn_layer_norm", "decoder_{0}/cross_norm"),
        *_attention(_DECODER + "encoder_attn", "decoder_{0}/cross"),
        *_norm(r"model\.decoder\.layer_norm", "decoder_norm"),
    ),
)


def key_map(config: WhisperConfig) -> KeyMap:
    """What each tensor of WhisperForConditionalGeneration becomes; the same for all sizes."""
    return KEY_MAP


def hub_config(config: WhisperConfig) -> dict[str, Any]:
    """The config.json of a checkpoint of `config`."""
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": config.vocab_size,
        "num_mel_bins": config.num_mel_bins,
        "d_model": config.hidden_size,
        "encoder_layers": config.num_hidden_layers,
        "encoder_attention_heads": config.num_attention_heads,
        "encoder_ffn_dim": config.intermediate_size,
        "decoder_layers": config.num_decoder_layers,
        "decoder_attention_heads": config.num_attention_heads,
        "decoder_ffn_dim": config.intermediate_size,
        "max_source_positions": config.max_source_positions,
        "max_target_positions": config.max_position_embeddings,
        "activation_function": "gelu",
        "is_encoder_decoder": True,
        "scale_embedding": False,
        "tie_word_embeddings": True,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), min(50257, config.vocab_size - 1)),
        "decoder_start_token_id": min(50258, config.vocab_size - 2),
    }


SIZE = 0.4
"""About how large what the branches add up to is."""


def synthetic_checkpoint(config: WhisperConfig, seed: int = 0, scores: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
    """Names and tensors of a made-up checkpoint, by the names that save_pretrained gives them.

    Scores spread by about 2, `scores` times as much where that is asked for: attention is far from uniform and every
    part shows in the logits.
    """
    hidden, inner = config.hidden_size, config.intermediate_size

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        name = f"model.{name}"
        low, high = middle - bound, middle + bound
        return name, coarse_uniform(f"whisper/{config.name}/{name}", shape, low=low, high=high, seed=seed)

    def dense(name: str, inputs: int, outputs: int, gain: float = 1.0, *, bias: bool = True) -> Any:
        yield tensor(f"{name}.weight", (outputs, inputs), gain * math.sqrt(3.0 / inputs))
        if bias:
            yield tensor(f"{name}.bias", (outputs,), 0.4 * gain)

    def norm(name: str) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.weight", (hidden,), 0.5, middle=1.0)
        yield tensor(f"{name}.bias", (hidden,), 0.2)

    def attention(name: str, small: float) -> Iterator[tuple[str, np.ndarray]]:
        yield from dense(f"{name}.q_proj", hidden, hidden, 1.2 * scores)
        yield from dense(f"{name}.k_proj", hidden, hidden, 1.2, bias=False)
        yield from dense(f"{name}.v_proj", hidden, hidden)
        yield from dense(f"{name}.out_proj", hidden, hidden, small)

    def convolution(name: str, inputs: int) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.weight", (hidden, inputs, 3), math.sqrt(1.0 / inputs))
        yield tensor(f"{name}.bias", (hidden,), 0.3)

    yield from convolution("encoder.conv1", config.num_mel_bins)
    yield from convolution("encoder.conv2", hidden)
    yield tensor("encoder.embed_positions.weight", (config.max_source_positions, hidden), 0.5)
    # So small that a token is not followed by itself, as the head is tied to the words.
    yield tensor("decoder.embed_tokens.weight", (config.vocab_size, hidden), 0.1 * math.sqrt(40 / hidden))
    yield tensor("decoder.embed_positions.weight", (config.max_position_embeddings, hidden), 0.2)
    for stack, layers, branches in (
        ("encoder", config.num_hidden_layers, 2),
        ("decoder", config.num_decoder_layers, 3),
    ):
        small = SIZE / math.sqrt(branches * layers)
        for index in range(layers):
            layer = f"{stack}.layers.{index}"
            yield from norm(f"{layer}.self_attn_layer_norm")
            yield from attention(f"{layer}.self_attn", small)
            if branches == 3:
                yield from norm(f"{layer}.encoder_attn_layer_norm")
                yield from attention(f"{layer}.encoder_attn", 2 * small)
            yield from norm(f"{layer}.final_layer_norm")
            yield from dense(f"{layer}.fc1", hidden, inner)
            yield from dense(f"{layer}.fc2", inner, hidden, 2 * small)
        yield from norm(f"{stack}.layer_norm")


def synthetic_params(config: WhisperConfig, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """Parameters (NumPy) of the made-up checkpoint, with which the golden of `config` is made."""
    return convert_tensors(synthetic_checkpoint(config, seed, scores), config, KEY_MAP)
