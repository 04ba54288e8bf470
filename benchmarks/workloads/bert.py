"""BERT base: masked language model's logits of 128 tokens."""

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

VARIANT = "bert-base-uncased"


def tokens(rows: int) -> np.ndarray:
    """Token numbers, int32 [rows, 128]."""
    from zoo.checkpoints.synthetic import integers

    return integers("benchmarks/bert", (rows, 128), 30522).astype(np.int32)


@lru_cache(maxsize=1)
def load_pytorch(checkpoint: Path) -> Any:
    """transformers' model."""
    from transformers import BertForMaskedLM
    from transformers.utils import logging

    logging.set_verbosity_error()  # it says that it ignores the pooler, as it should
    return BertForMaskedLM.from_pretrained(checkpoint, attn_implementation="eager", dtype="float32").eval()


@lru_cache(maxsize=1)
def load_zoo(checkpoint: Path, mesh: Mesh) -> Any:
    """Parameters of ours on `mesh`."""
    from zoo.bert.registration import MODEL
    from zoo.checkpoints.placement import load_params

    return load_params(MODEL, VARIANT, mesh, checkpoint)


def pytorch_forward(checkpoint: Path, *, rows: int) -> Callable[[], np.ndarray]:
    """Logits of every position; some of them are returned."""
    import torch

    model, ids = load_pytorch(checkpoint), torch.from_numpy(tokens(rows)).long()

    def run() -> np.ndarray:
        with torch.no_grad():
            return np.asarray(model(ids, attention_mask=torch.ones_like(ids)).logits[:, ::37, ::97].numpy().copy())

    return run


def zoo_forward(checkpoint: Path, mesh: Mesh, *, rows: int) -> Callable[[], np.ndarray]:
    """As `pytorch_forward`, with the sentence's embedding and the pooler's output computed too."""
    from zoo.bert.registration import MODEL

    ids = tokens(rows)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    forward = compiled_forward(MODEL, MODEL.config(VARIANT), mesh, load_zoo(checkpoint, mesh), inputs)

    def run() -> np.ndarray:
        return np.asarray(forward()["logits"])[:, ::37, :30522:97]

    return run


WORKLOADS = tuple(
    Workload(
        title=f"BERT base forward, batch {rows}, 128 tokens",
        model="bert",
        variant=VARIANT,
        aim=aim,
        load_pytorch=load_pytorch,
        load_zoo=load_zoo,
        pytorch=partial(pytorch_forward, rows=rows),
        zoo=partial(zoo_forward, rows=rows),
        rows=rows,
    )
    for rows, aim in ((1, 1.9), (8, 1.7))
)
