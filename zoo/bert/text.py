"""Sentences as the token ids that a checkpoint was trained on, by the tokenizer.json beside its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def encode(
    tokenizer: Path, sentences: Sequence[str | tuple[str, str]], *, longest: int = 512, multiple: int = 1
) -> dict[str, np.ndarray]:
    """The inputs of ``Bert`` for `sentences` or pairs of them: three int32 arrays [sentences, tokens].

    `tokenizer` is a tokenizer.json. What is longer than `longest` tokens is cut, the rest padded to the longest
    sentence, rounded up to a `multiple`: programs are compiled for one length.
    """
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(tokenizer))
    loaded.enable_truncation(longest)
    loaded.enable_padding(pad_to_multiple_of=multiple)
    found = loaded.encode_batch(list(sentences))
    rows = {
        "input_ids": [encoding.ids for encoding in found],
        "attention_mask": [encoding.attention_mask for encoding in found],
        "token_type_ids": [encoding.type_ids for encoding in found],
    }
    return {name: np.array(values, np.int32) for name, values in rows.items()}
