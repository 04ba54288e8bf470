"""What references by transformers' PyTorch share. Functions need the extra ``reference`` unless they say otherwise."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.checkpoints.synthetic import integers
from zoo.checkpoints.tensor_files import save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SILENT = "TRANSFORMERS_NO_ADVISORY_WARNINGS"

BATCH, LENGTH = 8, 16
"""The shape of `ragged_inputs`."""

NEAR_TIE = 0.1
"""Margin of `Generated` below which bfloat16 or a chip's arithmetic may choose another token."""


def ragged_inputs(model: str, variant: str, vocab: int) -> dict[str, np.ndarray]:
    """A decoder's token numbers, masks and positions [batch, length] int32; half of the rows begin with padding.

    Needs no torch.
    """
    lengths = LENGTH - np.array([0, 3, 0, 7, 0, 1, 0, 12])
    attention_mask = (np.arange(LENGTH) >= LENGTH - lengths[:, None]).astype(np.int32)
    tokens = integers(f"{model}/{variant}/input", (BATCH, LENGTH), vocab).astype(np.int32)
    return {
        "input_ids": np.where(attention_mask != 0, tokens, 0).astype(np.int32),
        "attention_mask": attention_mask,
        "position_ids": np.maximum(attention_mask.cumsum(axis=1) - 1, 0).astype(np.int32),
    }


def kept_logits(logits: np.ndarray, attention_mask: np.ndarray, *, every: int) -> dict[str, np.ndarray]:
    """The part of a decoder's logits [batch, length, vocab] that a golden holds: those of tokens, not of padding.

    For large vocabularies one in `every` of them, and all logits at the last position of the first row. Needs no torch.
    """
    real = logits[attention_mask != 0]
    if logits.shape[-1] < 1000:
        return {"logits": real}
    return {"some_logits": np.ascontiguousarray(real[:, ::every]), "next_logits": logits[0, -1]}


def loaded_model(kind: str, tensors: Iterable[tuple[str, np.ndarray]], config: Mapping[str, Any]) -> Any:
    """The model of class `kind`, float32 and eager, loaded from a checkpoint with `tensors` and `config`."""
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as directory:
        save_checkpoint(Path(directory), tensors, config=config)
        model = getattr(transformers, kind).from_pretrained(directory, attn_implementation="eager", dtype="float32")
    return model.eval()


def logits_of(model: Any, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The logits of `inputs` (integers)."""
    import torch

    with torch.no_grad():
        return np.asarray(model(**{name: torch.from_numpy(value).long() for name, value in inputs.items()}).logits)


def outputs_of(model: Any, inputs: Mapping[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """The outputs of these `names`.

    inputs: integers, sounds float32 [batch, mel bins, frames], images float32 [batch, height, width, channels].
    """
    import torch

    def given(value: np.ndarray) -> Any:
        channels_first = np.ascontiguousarray(value.transpose(0, 3, 1, 2)) if value.ndim == 4 else value
        return torch.from_numpy(channels_first if value.dtype.kind == "f" else channels_first.astype(np.int64))

    with torch.inference_mode():
        found = model(**{name: given(value) for name, value in inputs.items()})
    return {name: np.ascontiguousarray(found[name].numpy()) for name in names}


def made_by(
    model: str,
    variant: str,
    implementation: str,
    weights: Mapping[str, Any],
    packages: Sequence[str] = ("torch", "transformers"),
) -> dict[str, Any]:
    """The provenance of a golden, for its `info`: `weights` has their kind and digest."""
    from importlib.metadata import version

    return {
        "model": model,
        "variant": variant,
        "weights": dict(weights),
        "reference": {
            "implementation": implementation,
            "versions": {name: version(name).partition("+")[0] for name in packages},
        },
    }


class Generated:
    """Continuations of `prompts` by transformers' generate: the likeliest tokens, `new_tokens` each.

    tokens: int32 [prompts, new_tokens]. margins: float32 of the same shape, by how much each token won over the next,
    in standard deviations of the logits. ValueError if two tokens nearly tie, because rounding would decide.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], new_tokens: int) -> None:
        import torch

        self._model = model
        self._new_tokens = new_tokens
        self._longest = longest = max(len(prompt) for prompt in prompts)
        self._ids = torch.tensor([[0] * (longest - len(prompt)) + [*prompt] for prompt in prompts])
        self._mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        model.generation_config.eos_token_id = None
        greedy = self._generate(return_dict_in_generate=True, output_scores=True)
        self.tokens = self._new(greedy.sequences)
        scores = torch.stack(greedy.scores, dim=1).numpy()
        best = np.sort(scores, axis=-1)
        margins = (best[..., -1] - best[..., -2]) / scores.std(axis=-1)
        if margins.min() < 1e-3:
            raise ValueError(f"two tokens nearly tie ({margins.min():.1e}): rounding decides; change the prompts' seed")
        self.margins = margins.astype(np.float32)

    def stopped(self, stop: int | list[int]) -> np.ndarray:
        """The same with rows that end at a token of `stop`, int32 [prompts, new_tokens]; 0 after it."""
        padded = np.zeros_like(self.tokens)
        found = self._new(self._generate(eos_token_id=stop))
        padded[:, : found.shape[1]] = found
        return padded

    def _generate(self, **settings: Any) -> Any:
        return self._model.generate(
            self._ids,
            attention_mask=self._mask,
            do_sample=False,
            max_new_tokens=self._new_tokens,
            pad_token_id=0,
            **settings,
        )

    def _new(self, sequences: Any) -> np.ndarray:
        return np.asarray(sequences[:, self._longest :].numpy().astype(np.int32))


class GeneratedFrom:
    """What transformers' generate writes about `inputs` of a model with an encoder: the likeliest tokens.

    tokens: int32 [rows, new_tokens], behind those that the text begins with. margins: as `Generated`'s. `settings` go
    to generate. ValueError if two tokens nearly tie, because rounding would decide.
    """

    def __init__(self, model: Any, inputs: Mapping[str, np.ndarray], new_tokens: int, **settings: Any) -> None:
        import torch

        self._model, self._settings = model, {"do_sample": False, "pad_token_id": 0, **settings}
        self._inputs = {
            name: torch.from_numpy(value if value.dtype == np.float32 else value.astype(np.int64))
            for name, value in inputs.items()
        }
        self._count = new_tokens
        model.generation_config.eos_token_id = None
        greedy = self._generate(output_logits=True, output_scores=True)
        self._begun = greedy.sequences.shape[1] - new_tokens
        self.tokens: np.ndarray = greedy.sequences[:, -new_tokens:].numpy().astype(np.int32)
        best = np.sort(torch.stack(greedy.scores, dim=1).numpy(), axis=-1)
        margins = (best[..., -1] - best[..., -2]) / torch.stack(greedy.logits, dim=1).numpy().std(axis=-1)
        if margins.min() < 1e-3:
            raise ValueError(f"two tokens nearly tie ({margins.min():.1e}): rounding decides; change the inputs' seed")
        self.margins = margins.astype(np.float32)

    def stopped(self, stop: int) -> np.ndarray:
        """The same with rows that end at a token `stop`, int32 [rows, new_tokens]; 0 after it."""
        padded: np.ndarray = np.zeros_like(self.tokens)
        found = self._generate(eos_token_id=stop).sequences[:, self._begun :].numpy()
        padded[:, : found.shape[1]] = found
        return padded

    def _generate(self, **settings: Any) -> Any:
        # As a dictionary: Whisper's gives sequences of other kinds otherwise, without what they begin or end with.
        settings |= {"max_new_tokens": self._count, "return_dict_in_generate": True, **self._settings}
        return self._model.generate(**self._inputs, **settings)


def made_up_prompts(model: str, variant: str, vocab: int, *, seed: int) -> list[list[int]]:
    """Prompts of 1 to 9 tokens. Needs no torch."""
    lengths = [4, 9, 1, 6, 2]
    tokens = integers(f"{model}/{variant}/prompts", (len(lengths), max(lengths)), vocab, seed=seed)
    return [tokens[row, :length].tolist() for row, length in enumerate(lengths)]


@contextmanager
def without_advice() -> Iterator[None]:
    """Import transformers without its advice to install torch: tokenizers and configs work without it."""
    before = os.environ.get(_SILENT)
    os.environ[_SILENT] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SILENT]
        else:
            os.environ[_SILENT] = before
