"""Qwen2.5, 0.5B in full and two layers of 7B's width: logits after 128 tokens, and 64 tokens after 32."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from forward import compiled_forward

from workloads.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jax.sharding import Mesh

    from zoo.qwen2_5.model import Qwen2Config

LENGTH = 128
PROMPT, NEW_TOKENS = 32, 64
SMALL, WIDE = "qwen2.5-0.5b", "7b-2-layers"


def config_of(variant: str, dtype: str) -> Qwen2Config:
    """The variant with weights of `dtype`, whatever its checkpoint has."""
    from zoo.qwen2_5.model import CONFIGS

    return replace(CONFIGS[variant], dtype=dtype)


def tokens(length: int) -> np.ndarray:
    """Token numbers, int32 [1, length]."""
    from zoo.checkpoints.synthetic import integers

    return integers("benchmarks/qwen", (1, length), 151643).astype(np.int32)


@lru_cache(maxsize=1)
def load_pytorch(checkpoint: Path, *, variant: str, dtype: str) -> Any:
    """transformers' model."""
    from transformers import Qwen2ForCausalLM

    return Qwen2ForCausalLM.from_pretrained(checkpoint, attn_implementation="eager", dtype=dtype).eval()


@lru_cache(maxsize=1)
def load_zoo(checkpoint: Path, mesh: Mesh, *, variant: str, dtype: str) -> Any:
    """Parameters of ours on `mesh`."""
    from zoo.checkpoints.loading import load_checkpoint
    from zoo.checkpoints.placement import placer
    from zoo.qwen2_5.params import key_map
    from zoo.qwen2_5.registration import MODEL

    config = config_of(variant, dtype)
    shapes = MODEL.architecture.shapes(config)
    return load_checkpoint(checkpoint, config, key_map(config), shapes, placer(MODEL, config, mesh))


def pytorch_prefill(checkpoint: Path, *, variant: str, dtype: str) -> Callable[[], np.ndarray]:
    """Logits of every position, as in the measurements behind the goals; some of them are returned."""
    import torch

    model = load_pytorch(checkpoint, variant=variant, dtype=dtype)
    ids = torch.from_numpy(tokens(LENGTH)).long()

    def run() -> np.ndarray:
        with torch.no_grad():
            return np.asarray(model(ids, use_cache=False).logits[:, ::37, ::97].float().numpy())

    return run


def zoo_prefill(checkpoint: Path, mesh: Mesh, *, variant: str, dtype: str) -> Callable[[], np.ndarray]:
    """As `pytorch_prefill`."""
    from zoo.qwen2_5.registration import MODEL

    config, ids = config_of(variant, dtype), tokens(LENGTH)
    positions = np.arange(LENGTH, dtype=np.int32)[None, :]
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": positions}
    params = load_zoo(checkpoint, mesh, variant=variant, dtype=dtype)
    forward = compiled_forward(MODEL, config, mesh, params, inputs)

    def run() -> np.ndarray:
        return np.asarray(forward()["logits"])[:, ::37, : config.vocab_size : 97]

    return run


def pytorch_decode(checkpoint: Path, *, variant: str, dtype: str) -> Callable[[], np.ndarray]:
    """Logits of the prompt and of each token after it, which is given: by a cache, token by token."""
    import torch

    model = load_pytorch(checkpoint, variant=variant, dtype=dtype)
    ids = torch.from_numpy(tokens(PROMPT + NEW_TOKENS)).long()

    def run() -> np.ndarray:
        with torch.no_grad():
            step = model(ids[:, :PROMPT], use_cache=True, logits_to_keep=1)
            found = [step.logits[:, -1, ::97].float().numpy()]
            for at in range(PROMPT, PROMPT + NEW_TOKENS):
                step = model(ids[:, at : at + 1], past_key_values=step.past_key_values, use_cache=True)
                found.append(step.logits[:, -1, ::97].float().numpy())
        return np.stack(found, axis=1)

    return run


def zoo_decode(checkpoint: Path, mesh: Mesh, *, variant: str, dtype: str) -> Callable[[], np.ndarray]:
    """As `pytorch_decode`."""
    generator = _generator(checkpoint, mesh, variant, dtype, PROMPT, PROMPT + NEW_TOKENS)

    def run() -> np.ndarray:
        return np.asarray(generator.follow(tokens(PROMPT + NEW_TOKENS).tolist(), PROMPT)[:, :, ::97])

    return run


def _generator(checkpoint: Path, mesh: Mesh, variant: str, dtype: str, prompt_slots: int, slots: int) -> Any:
    from zoo.qwen2_5.sharding import decoder
    from zoo.text.generation import Generator

    params = load_zoo(checkpoint, mesh, variant=variant, dtype=dtype)
    return Generator(decoder(config_of(variant, dtype), mesh), params, mesh, prompt_slots=prompt_slots, slots=slots)


def _workloads(variant: str, name: str, dtype: str, prefill: float, decode: float) -> tuple[Workload, Workload]:
    common: dict[str, Any] = {
        "model": "qwen2_5",
        "variant": variant,
        "dtype": dtype,
        "load_pytorch": partial(load_pytorch, variant=variant, dtype=dtype),
        "load_zoo": partial(load_zoo, variant=variant, dtype=dtype),
        "rows": 1,
    }
    return (
        Workload(
            title=f"{name} prefill, {LENGTH} tokens, all logits, {dtype}",
            aim=prefill,
            pytorch=partial(pytorch_prefill, variant=variant, dtype=dtype),
            zoo=partial(zoo_prefill, variant=variant, dtype=dtype),
            **common,
        ),
        Workload(
            title=f"{name} decode, {NEW_TOKENS} tokens after {PROMPT}, {dtype}",
            aim=decode,
            pytorch=partial(pytorch_decode, variant=variant, dtype=dtype),
            zoo=partial(zoo_decode, variant=variant, dtype=dtype),
            tokens=NEW_TOKENS,
            **common,
        ),
    )


# Goals: the ratios of a plain JAX program, written only for speed, to PyTorch on the original two cores.
WORKLOADS = (
    *_workloads(SMALL, "Qwen2.5 0.5B", "float32", prefill=2.2, decode=2.8),
    *_workloads(SMALL, "Qwen2.5 0.5B", "bfloat16", prefill=0.9, decode=1.3),
    *_workloads(WIDE, "Qwen2.5 7B, 2 layers,", "float32", prefill=2.2, decode=1.1),
    *_workloads(WIDE, "Qwen2.5 7B, 2 layers,", "bfloat16", prefill=1.15, decode=1.0),
)
