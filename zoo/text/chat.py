"""The chat template of a checkpoint: what messages look like to a model that was trained to answer them.

Templates are rendered by transformers, in its sandbox, by the function that ``apply_chat_template`` calls. The method
itself needs a tokenizer of transformers' own: to import `AutoTokenizer` and to read a vocabulary of 150,000 tokens,
which the demos have read already, takes 1.5 to 2 s more. torch is not needed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zoo.references.huggingface import without_advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

CONFIG, TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
TOKENS = "special_tokens_map.json"


class ChatError(ValueError):
    """There is no chat template, or it refuses the messages; the text is one line that says what to do."""


def chat_text(directory: Path, messages: Sequence[Mapping[str, str]], *, reply: bool = True) -> str:
    """`messages`, each with a ``role`` and its ``content``, as the model of the checkpoint in `directory` reads them.

    reply: the text ends where an answer begins. ChatError if there is no template, it is damaged, refuses the messages
    or fails on them, or the package transformers is not installed.
    """
    try:
        with without_advice():
            from transformers.utils.chat_template_utils import render_jinja_template
    except ImportError as error:
        raise ChatError(f"transformers is not installed ({error}): pip install 'pytest-tt[zoo]'") from None
    facts = _facts(directory / CONFIG)
    template = _template(directory, facts)
    tokens = _special_tokens({**_facts(directory / TOKENS), **facts})
    try:
        (text,), _ = render_jinja_template(
            conversations=[[dict(message) for message in messages]],
            chat_template=template,
            add_generation_prompt=reply,
            **tokens,
        )
    except ImportError as error:  # of jinja2, which transformers imports here
        raise ChatError(f"{' '.join(str(error).split())} (pip install 'pytest-tt[zoo]')") from None
    except Exception as error:  # a template is a program: anything may go wrong in it
        raise ChatError(f"{directory}: its chat template {_failure(error)}") from None
    return str(text)


def has_template(directory: Path) -> bool:
    """Whether the checkpoint in `directory` has a chat template. ChatError if its tokenizer_config.json is damaged."""
    return (directory / TEMPLATE).is_file() or bool(_facts(directory / CONFIG).get("chat_template"))


def pieces(tokenizer: Any, tokens: Iterable[int]) -> Iterator[str]:
    """The text of `tokens` as they come, by a ``tokenizers.Tokenizer``; a letter of several tokens comes with its last.

    Special tokens have no text.
    """
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    for token in tokens:
        piece = stream.step(tokenizer, int(token))
        if piece:
            yield piece


def _facts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise ChatError(f"{path}: not JSON ({error}); download or save it again") from None
    if not isinstance(found, dict):
        raise ChatError(f"{path}: not a JSON object; download or save it again")
    return found


def _template(directory: Path, facts: Mapping[str, Any]) -> str:
    """The file of its own that newer checkpoints have, else the config's; of several the one named ``default``."""
    path = directory / TEMPLATE
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except ValueError as error:
            raise ChatError(f"{path}: not text in UTF-8 ({error}); download or save it again") from None
    found = facts.get("chat_template")
    if isinstance(found, list):
        found = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}.get("default")
    if not isinstance(found, str) or not found:
        raise ChatError(
            f"{directory}: has no chat template in {CONFIG} or {TEMPLATE}: give a plain prompt, or an Instruct model"
        )
    return found


def _special_tokens(facts: Mapping[str, Any]) -> dict[str, str]:
    """The tokens by the names that templates know: a text each, or an object that holds it as `content`."""
    named = {name: value for name, value in facts.items() if name.endswith("_token")}
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in named.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _failure(error: Exception) -> str:
    """What a template did, in one line."""
    from jinja2 import TemplateError

    reason = " ".join(str(error).split())[:300]
    if isinstance(error, TemplateError):  # the template's own words, or what jinja2 says of the template
        return f"refuses this: {reason or type(error).__name__}"
    return f"fails on this ({type(error).__name__}: {reason}): give a plain prompt, or another checkpoint's template"
