"""Sentences as token ids for an encoder such as BERT, by the tokenizer of its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.text.tokenizer import settings_beside

if TYPE_CHECKING:
    from collections.abc import Sequence


def from_vocabulary(vocabulary: str) -> Any:
    """The tokenizer of a BERT from the path of its vocab.txt, the only tokenizer file of its first checkpoints.

    Uncased, unless a tokenizer_config.json beside it says otherwise. ValueError if that has unsupported settings.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    told = settings_beside(vocabulary, {"do_basic_tokenize": True, "never_split": None})
    tokenizer = Tokenizer(models.WordPiece.from_file(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=told.get("do_lower_case", True),
        strip_accents=told.get("strip_accents"),
        handle_chinese_chars=told.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    missing = [token for token in special if tokenizer.token_to_id(token) is None]
    if missing:
        raise ValueError(f"its vocabulary lacks {', '.join(missing)}")
    tokenizer.add_special_tokens(special)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=ends
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def encode(
    tokenizer: Path | Any, sentences: Sequence[str | tuple[str, str]], *, longest: int = 512, multiple: int = 1
) -> dict[str, np.ndarray]:
    """`sentences` or pairs of them as ``input_ids``, ``attention_mask``, ``token_type_ids``: int32 [sentences, tokens].

    `tokenizer` is a tokenizer.json or a loaded one. Sentences of more than `longest` tokens are truncated, the others
    padded to the longest one, rounded up to a `multiple`: a program is compiled for one length.
    """
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(tokenizer)) if isinstance(tokenizer, Path) else tokenizer
    loaded.enable_truncation(longest)
    loaded.enable_padding(pad_to_multiple_of=multiple)
    found = loaded.encode_batch(list(sentences))
    rows = {
        "input_ids": [encoding.ids for encoding in found],
        "attention_mask": [encoding.attention_mask for encoding in found],
        "token_type_ids": [encoding.type_ids for encoding in found],
    }
    return {name: np.array(values, np.int32) for name, values in rows.items()}
