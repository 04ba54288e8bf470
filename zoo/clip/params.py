"""Parameters of CLIP: what each tensor of a checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.checkpoints import rules
from zoo.checkpoints.hub import Source
from zoo.checkpoints.key_map import counts_up
from zoo.checkpoints.layouts import first_row, transposed
from zoo.checkpoints.loading import KeyMap, Rule, Target, Unused, convert_tensors
from zoo.checkpoints.synthetic import coarse_uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from zoo.clip.model import CLIPConfig, TowerConfig

SOURCES = {
    "clip-vit-base-patch32": Source("openai/clip-vit-base-patch32", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268"),
    "clip-vit-large-patch14": Source("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41"),
}


def _one(tensor: np.ndarray, config: CLIPConfig) -> np.ndarray:
    """[] to [1]: TT's chips have no arrays without axes."""
    return tensor.reshape(1)


def _layers(tower: str) -> Iterator[Rule]:
    """The rules of the layers of a tower, ``text`` or ``vision``."""
    source, target = rf"{tower}_model\.encoder\.layers\.(\d+)\.", f"{tower}/layer_{{0}}"
    q, k, v, out = (rf"{source}self_attn\.{name}_proj" for name in ("q", "k", "v", "out"))
    yield from rules.norm(source + "layer_norm1", f"{target}/attention_norm")
    yield from rules.attention((q, k, v, out), target, of=lambda config: getattr(config, tower))
    yield from rules.norm(source + "layer_norm2", f"{target}/norm")
    yield from rules.dense(source + r"mlp\.fc1", f"{target}/up")
    yield from rules.dense(source + r"mlp\.fc2", f"{target}/down")


_TEXT, _VISION = r"text_model\.embeddings\.", r"vision_model\.embeddings\."

KEY_MAP = KeyMap(
    rules=(
        Rule(
            _TEXT + r"token_embedding\.weight",
            (Target("params/text/word/embedding"), Target("params/text/word/first_row", first_row)),
        ),
        Rule(_TEXT + r"position_embedding\.weight", "params/text/position"),
        *_layers("text"),
        *rules.norm(r"text_model\.final_layer_norm", "text/norm"),
        Rule(r"text_projection\.weight", "params/text_projection/kernel", transposed),
        Rule(_VISION + "class_embedding", "params/vision/patches/class"),
        Rule(_VISION + r"patch_embedding\.weight", "params/vision/patches/kernel", rules.patches),
        Rule(_VISION + r"position_embedding\.weight", "params/vision/patches/position"),
        *rules.norm(r"vision_model\.pre_layrnorm", "vision/first_norm"),
        *_layers("vision"),
        *rules.norm(r"vision_model\.post_layernorm", "vision/norm"),
        Rule(r"visual_projection\.weight", "params/vision_projection/kernel", transposed),
        Rule("logit_scale", "params/logit_scale", _one),
    ),
    unused=(Unused(r"(?:text|vision)_model\.embeddings\.position_ids", "positions are 0, 1, 2 …", counts_up),),
)


def key_map(config: CLIPConfig) -> KeyMap:
    """The key map of CLIPModel; the same for all sizes."""
    return KEY_MAP


def hub_config(config: CLIPConfig) -> dict[str, Any]:
    """The config.json of a checkpoint of `config`."""
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": config.projection_dim,
        "text_config": {
            "bos_token_id": 0,
            "eos_token_id": 2,  # as published: the end is the largest number of a text then
            "max_position_embeddings": config.max_position_embeddings,
            "model_type": "clip_text_model",
            "pad_token_id": 1,
            "vocab_size": config.vocab_size,
            **_tower(config.text),
        },
        "vision_config": {
            "image_size": config.image_size,
            "model_type": "clip_vision_model",
            "num_channels": config.num_channels,
            "patch_size": config.patch_size,
            **_tower(config.vision),
        },
    }


def _tower(config: TowerConfig) -> dict[str, Any]:
    return {
        "hidden_act": "quick_gelu",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "layer_norm_eps": config.layer_norm_eps,
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
    }


SIZE = 0.06
"""About how large hidden states are: so small that the epsilon of each normalisation shows."""


def synthetic_checkpoint(config: CLIPConfig, seed: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Names and float32 tensors of a made-up checkpoint, as CLIPModel is saved.

    Scores spread by about 2, and biases are nearly as large as the products: attention is far from uniform and every
    part shows in the outputs. Branches are smaller the more layers there are.
    """

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        stream = f"clip/{config.name}/{name}"
        return name, coarse_uniform(stream, shape, low=middle - bound, high=middle + bound, seed=seed)

    def dense(name: str, outputs: int, inputs: int, gain: float, bias: float) -> Iterator[tuple[str, np.ndarray]]:
        """`gain`: standard deviation of an output for inputs of 1."""
        yield tensor(f"{name}.weight", (outputs, inputs), gain * math.sqrt(3.0 / inputs))
        if bias:
            yield tensor(f"{name}.bias", (outputs,), bias * gain)

    def norm(name: str, hidden: int, size: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.weight", (hidden,), 0.5 * size, middle=size)
        yield tensor(f"{name}.bias", (hidden,), 0.5 * size)

    def layers(name: str, tower: TowerConfig) -> Iterator[tuple[str, np.ndarray]]:
        hidden, inner = tower.hidden_size, tower.intermediate_size
        branch = SIZE * math.sqrt(2.0 / tower.num_hidden_layers)
        for index in range(tower.num_hidden_layers):
            layer = f"{name}.encoder.layers.{index}"
            yield from norm(f"{layer}.layer_norm1", hidden)
            yield from dense(f"{layer}.self_attn.q_proj", hidden, hidden, 1.3, 1.0)
            yield from dense(f"{layer}.self_attn.k_proj", hidden, hidden, 1.3, 0.5)
            yield from dense(f"{layer}.self_attn.v_proj", hidden, hidden, 1.0, 0.6)
            yield from dense(f"{layer}.self_attn.out_proj", hidden, hidden, 2.0 * branch, 0.5)
            yield from norm(f"{layer}.layer_norm2", hidden)
            yield from dense(f"{layer}.mlp.fc1", inner, hidden, 1.0, 0.5)
            yield from dense(f"{layer}.mlp.fc2", hidden, inner, 2.0 * branch, 0.4)

    text, vision = config.text.hidden_size, config.vision.hidden_size
    yield "logit_scale", tensor("logit_scale", (1,), 0.1, middle=math.log(20.0))[1].reshape(())
    yield tensor("text_model.embeddings.token_embedding.weight", (config.vocab_size, text), 2.0 * SIZE)
    yield tensor("text_model.embeddings.position_embedding.weight", (config.max_position_embeddings, text), SIZE)
    yield from layers("text_model", config.text)
    yield from norm("text_model.final_layer_norm", text)
    yield from dense("text_projection", config.projection_dim, text, 1.0, 0.0)
    patch, tokens = config.patch_size, (config.image_size // config.patch_size) ** 2 + 1
    embeddings, numbers = "vision_model.embeddings", config.num_channels * patch * patch
    yield tensor(f"{embeddings}.class_embedding", (vision,), 2.0 * SIZE)
    kernel = (vision, config.num_channels, patch, patch)
    yield tensor(f"{embeddings}.patch_embedding.weight", kernel, 3.0 * SIZE * math.sqrt(3.0 / numbers))
    yield tensor(f"{embeddings}.position_embedding.weight", (tokens, vision), SIZE)
    yield from norm("vision_model.pre_layrnorm", vision, size=SIZE)
    yield from layers("vision_model", config.vision)
    yield from norm("vision_model.post_layernorm", vision)
    yield from dense("visual_projection", config.projection_dim, vision, 1.0, 0.0)


def synthetic_params(config: CLIPConfig, seed: int = 0) -> dict[str, Any]:
    """Parameters (NumPy) of the made-up checkpoint, with which the goldens of `config` were made."""
    return convert_tensors(synthetic_checkpoint(config, seed), config, KEY_MAP)
