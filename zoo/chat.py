"""The chat template of a checkpoint: what messages look like to a model that was trained to answer them.

Templates are Jinja, as transformers' ``apply_chat_template`` renders them, in a sandbox; neither transformers nor torch
is needed.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

CONFIG, TEMPLATE = "tokenizer_config.json", "chat_template.jinja"


class ChatError(ValueError):
    """There is no chat template, or it refuses the messages; the text is one line that says what to do."""


def chat_text(directory: Path, messages: Sequence[Mapping[str, str]], *, reply: bool = True) -> str:
    """`messages`, each with a ``role`` and its ``content``, as the model of the checkpoint in `directory` reads them.

    reply: the text ends where an answer begins. ChatError if there is no template, it is damaged or refuses the
    messages, or the package jinja2 is not installed.
    """
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise ChatError(f"the package jinja2 is not installed ({error}): pip install jinja2") from None
    facts = _facts(directory)
    template = _template(directory, facts)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _json
    environment.globals.update(raise_exception=_refuse, strftime_now=lambda form: datetime.now().strftime(form))
    try:
        return str(
            environment.from_string(template).render(
                messages=[dict(message) for message in messages], add_generation_prompt=reply, **_special_tokens(facts)
            )
        )
    except (TemplateError, TypeError) as error:
        raise ChatError(f"{directory}: its chat template refuses this: {' '.join(str(error).split())}") from None


def has_template(directory: Path) -> bool:
    """Whether the checkpoint in `directory` has a chat template. ChatError if its tokenizer_config.json is damaged."""
    return (directory / TEMPLATE).is_file() or bool(_facts(directory).get("chat_template"))


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


def _facts(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG
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
        return path.read_text(encoding="utf-8")
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
    named = {name: facts.get(name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in named.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(message)
