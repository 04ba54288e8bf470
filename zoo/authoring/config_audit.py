"""``python -m zoo configs``: what each key of transformers' config classes means for the models, none left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tt.text import table
from zoo.checkpoints.config_keys import UNKNOWN, Field, Ignored, Nested, Only
from zoo.references.huggingface import without_advice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.checkpoints.config_keys import ConfigKeys, Verdict
    from zoo.registry import Model


@dataclass(frozen=True, slots=True)
class Row:
    """A key, what it means, and what is wrong with that; empty where nothing is."""

    key: str
    verdict: str
    problem: str = ""


def audited(declared: ConfigKeys, defaults: Mapping[str, Any]) -> Iterator[Row]:
    """A row for each key of `defaults`, which is what transformers' class says where a file says nothing.

    Nested keys are named ``outer.inner``. A problem is a key without a verdict, a field whose default is another one,
    or a default that is refused.
    """
    yield from _audited(declared.keys, defaults, "", declared, defaults)


def _audited(
    keys: Mapping[str, Verdict],
    values: Mapping[str, Any],
    outer: str,
    declared: ConfigKeys,
    defaults: Mapping[str, Any],
) -> Iterator[Row]:
    for key in sorted(values):
        value, verdict = values[key], keys.get(key)
        if isinstance(verdict, Nested) and isinstance(value, Mapping):
            yield from _audited(verdict.keys, value, f"{outer}{key}.", declared, defaults)
        else:
            yield _row(f"{outer}{key}", verdict, value, declared, defaults)


def _row(key: str, verdict: Verdict | None, value: Any, declared: ConfigKeys, defaults: Mapping[str, Any]) -> Row:
    problem = ""
    if verdict is None:
        return Row(key, "-", "no verdict: say what it means in the model's config_keys")
    if isinstance(verdict, Only) and not verdict.takes(value):
        problem = f"the class's default {value!r} is refused"
    if isinstance(verdict, Field):
        whole = declared.keys.get(verdict.name, verdict) if verdict.name else verdict
        default = whole.missing(defaults) if isinstance(whole, Field) else UNKNOWN
        found, known = verdict.read(value, defaults), verdict.read(default, defaults)
        if default is UNKNOWN or found != known:
            problem = f"the class's default is {found!r}, not {known!r}"
    return Row(key, describe(verdict), problem)


def describe(verdict: Verdict) -> str:
    """A verdict in words."""
    if isinstance(verdict, Field):
        same = f", the same as {verdict.name}" if verdict.name else ""
        return f"must be the variant's{' in number' if verdict.count else ''}{same}"
    if isinstance(verdict, Only):
        return f"must be {'a list of ' if verdict.each else ''}{verdict}"
    if isinstance(verdict, Ignored):
        return f"does not matter: {verdict.why}"
    return f"an object of {', '.join(verdict.keys)}, or null"


def defaults_of(declared: ConfigKeys) -> dict[str, Any]:
    """What transformers' class says where a config.json says nothing. Needs transformers, not torch."""
    with without_advice():
        import transformers
    found: dict[str, Any] = getattr(transformers, declared.config_class)().to_dict()
    return found


def declared_by(model: Model) -> ConfigKeys | None:
    """What a model says of the keys of its config.json; None where it says nothing."""
    return None if model.checkpoint is None else model.checkpoint.config_keys


def audit(model: Model) -> tuple[str, list[str]]:
    """The table of a model that declares `config_keys`, and what is wrong with it."""
    declared = declared_by(model)
    assert declared is not None
    defaults = defaults_of(declared)
    rows = list(audited(declared, defaults))
    lines = [("key", "verdict"), *((row.key, row.problem or row.verdict) for row in rows)]
    others = [(key, describe(verdict)) for key, verdict in sorted(declared.own.items()) if key not in defaults]
    if others:
        lines += [("", ""), ("other versions and names", ""), *others]
    text = f"{model.name}: {declared.config_class}\n\n{table(lines)}"
    return text, [f"{model.name}: {row.key}: {row.problem}" for row in rows if row.problem]
