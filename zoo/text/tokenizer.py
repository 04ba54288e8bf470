"""The tokenizer beside a checkpoint's weights, through the package ``tokenizers``: no transformers, no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class TokenizerError(ValueError):
    """There is no tokenizer, or it cannot be used; the text is one line that says what to do."""


def read_tokenizer(directory: Path, others: Mapping[tuple[str, ...], Callable[..., Any]] | None = None) -> Any:
    """The ``tokenizers.Tokenizer`` of the checkpoint in `directory`: its tokenizer.json, without cutting or padding.

    others: names of older files -> what makes a tokenizer of their paths; the first whose files are all there is taken
    where there is no tokenizer.json. TokenizerError if there is none, it is damaged, or the package is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise TokenizerError(f"the package tokenizers is not installed ({error}): pip install tokenizers") from None
    known: dict[tuple[str, ...], Callable[..., Any]] = {("tokenizer.json",): Tokenizer.from_file, **(others or {})}
    for names, make in known.items():
        paths = [directory / name for name in names]
        if all(path.is_file() for path in paths):
            try:
                return _whole(make(*map(str, paths)))
            except Exception as error:  # the package raises bare Exception
                what = " and ".join(map(str, paths))
                reason = " ".join(str(error).split())
                raise TokenizerError(f"{what}: not a tokenizer ({reason}); download or save it again") from None
    expected = ", or ".join(" with ".join(names) for names in known)
    raise TokenizerError(f"{directory}: has no tokenizer; expected {expected}, as the checkpoint's repository has")


def settings_beside(vocabulary: str, only: Mapping[str, Any]) -> dict[str, Any]:
    """What the tokenizer_config.json beside a vocabulary says; empty where there is none.

    ValueError if one of the keys of `only` has another value than there, an empty list counting as null.
    """
    path = Path(vocabulary).with_name("tokenizer_config.json")
    if not path.is_file():
        return {}
    told: dict[str, Any] = json.loads(path.read_bytes())
    for key, value in only.items():
        if told.get(key, value) not in (value, []):
            raise ValueError(f"{path.name} says {key} {told[key]!r}, only {value!r} is known here")
    return told


def _whole(tokenizer: Any) -> Any:
    """The same, so that it gives all tokens of a text and no others: the file may hold what it was last used with."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
