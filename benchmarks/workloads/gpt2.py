"""GPT-2 base: logits of 128 tokens, and 64 tokens after 32."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from forward import compiled_forward

from workloads.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jax.sharding import Mesh

VARIANT = "gpt2"
PROMPT, NEW_TOKENS = 32, 64


def tokens(rows: int, length: int) -> np.ndarray:
    """Token numbers, int32 [rows, length]."""
    from zoo.checkpoints.synthetic import integers

    return integers("benchmarks/gpt2", (rows, length), 50257).astype(np.int32)


@lru_cache(maxsize=1)
def load_pytorch(checkpoint: Path) -> Any:
    """transformers' model."""
    from transformers import GPT2LMHeadModel

    return GPT2LMHeadModel.from_pretrained(checkpoint, attn_implementation="eager", dtype="float32").eval()


@lru_cache(maxsize=1)
def load_zoo(checkpoint: Path, mesh: Mesh) -> Any:
    """Parameters of ours on `mesh`."""
    from zoo.checkpoints.placement import load_params
    from zoo.gpt2.registration import MODEL

    return load_params(MODEL, VARIANT, mesh, checkpoint)


def pytorch_forward(checkpoint: Path, *, rows: int) -> Callable[[], np.ndarray]:
    """Logits of every position; some of them are returned."""
    import torch

    model, ids = load_pytorch(checkpoint), torch.from_numpy(tokens(rows, 128)).long()

    def run() -> np.ndarray:
        with torch.no_grad():
            return np.asarray(model(ids, use_cache=False).logits[:, ::37, ::97].numpy().copy())

    return run


def zoo_forward(checkpoint: Path, mesh: Mesh, *, rows: int) -> Callable[[], np.ndarray]:
    """As `pytorch_forward`."""
    from zoo.gpt2.registration import MODEL

    ids = tokens(rows, 128)
    positions = np.broadcast_to(np.arange(128, dtype=np.int32), ids.shape)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": positions}
    forward = compiled_forward(MODEL, MODEL.config(VARIANT), mesh, load_zoo(checkpoint, mesh), inputs)

    def run() -> np.ndarray:
        return np.asarray(forward()["logits"])[:, ::37, :50257:97]

    return run


def pytorch_decode(checkpoint: Path) -> Callable[[], np.ndarray]:
    """Greedy tokens by transformers' generate."""
    import torch

    model, ids = load_pytorch(checkpoint), torch.from_numpy(tokens(1, PROMPT)).long()
    model.generation_config.eos_token_id = None

    def run() -> np.ndarray:
        with torch.no_grad():
            found = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0
            )
        return np.asarray(found[:, PROMPT:].numpy())

    return run


def zoo_decode(checkpoint: Path, mesh: Mesh) -> Callable[[], np.ndarray]:
    """Greedy tokens by the zoo's generator."""
    from zoo.gpt2.model import CONFIGS
    from zoo.gpt2.sharding import decoder
    from zoo.text.generation import Generator

    params = load_zoo(checkpoint, mesh)
    generator = Generator(decoder(CONFIGS[VARIANT], mesh), params, mesh, prompt_slots=PROMPT, slots=PROMPT + NEW_TOKENS)
    return partial(generator, tokens(1, PROMPT).tolist(), NEW_TOKENS)


WORKLOADS = (
    *(
        Workload(
            title=f"GPT-2 base forward, batch {rows}, 128 tokens",
            model="gpt2",
            variant=VARIANT,
            aim=aim,
            load_pytorch=load_pytorch,
            load_zoo=load_zoo,
            pytorch=partial(pytorch_forward, rows=rows),
            zoo=partial(zoo_forward, rows=rows),
            rows=rows,
        )
        for rows, aim in ((1, 2.0), (8, 1.8))
    ),
    Workload(
        title=f"GPT-2 base decode, {NEW_TOKENS} tokens after {PROMPT}",
        model="gpt2",
        variant=VARIANT,
        aim=1.8,
        load_pytorch=load_pytorch,
        load_zoo=load_zoo,
        pytorch=pytorch_decode,
        zoo=zoo_decode,
        rows=1,
        tokens=NEW_TOKENS,
    ),
)
