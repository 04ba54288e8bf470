"""Code for a new model's params.py and config_keys.py: rules, tensors, the config.json and what its keys mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from zoo.authoring.field_names import ROTATIONS, rope_theta
from zoo.authoring.model_class import field_of
from zoo.checkpoints.config_keys import COMMON

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from zoo.authoring.model_class import ConfigFacts, ModelClass
    from zoo.authoring.shapes import Family

WIDTH = 120

_ONE_TUPLE = 8
"""Entries of the longest value that is written out."""


def literal(value: Any) -> str:
    """The value as code, with double quotes."""
    return f'"{value}"' if isinstance(value, str) else re.sub(r"'([^'\"]*)'", r'"\1"', repr(value))


def rules(families: Iterable[Family]) -> Iterator[str]:
    """A rule for each family, with its shape beside or above it."""
    seen: set[str] = set()
    for family in families:
        if family.name not in seen:  # several shapes of one name are one rule
            shape = ", ".join(word.removeprefix("config.").replace(" config.", " ") for word in family.shape)
            rule = f'        Rule(r"{family.pattern}", "TODO"),'
            if len(f"{rule}  # [{shape}]") <= WIDTH:
                yield f"{rule}  # [{shape}]"
            else:
                yield f"        # [{shape}]"
                yield (
                    rule
                    if len(rule) <= WIDTH
                    else f'        Rule(\n            r"{family.pattern}",\n            "TODO",\n        ),'
                )
        seen.add(family.name)


def tensors(families: Iterable[Family]) -> Iterator[str]:
    """Code that yields names and shapes; neighbours with the same number of layers share a loop."""
    loop: tuple[object, ...] | None = None
    for family in families:
        shape = f"({', '.join(family.shape)}{',' if len(family.shape) == 1 else ''})"
        if family.numbers == ((),):
            loop = None
            yield _yielded("    ", f'"{family.name}"', shape)
            continue
        letters = [f"n{index}" if index else "n" for index in range(len(family.numbers[0]))]
        if loop != (family.count, family.numbers):
            loop = (family.count, family.numbers)
            yield from _wrapped_loop(letters, family)
        filled = family.name.format(*(f"{{{letter}}}" for letter in letters))
        yield _yielded("        ", f'f"{filled}"', shape)


def _yielded(indent: str, name: str, shape: str) -> str:
    line = f"{indent}yield {name}, {shape}"
    return line if len(line) <= WIDTH else f"{indent}yield (\n{indent}    {name},\n{indent}    {shape},\n{indent})"


def _wrapped_loop(letters: list[str], family: Family) -> Iterator[str]:
    if family.count is not None:
        yield f"    for n in range(config.{family.count}):"
    elif len(letters) == 1:
        yield f"    for n in {tuple(number for (number,) in family.numbers)!r}:  # TODO by the config"
    else:
        yield "    # TODO by the config, not by these numbers"
        head = f"    for {', '.join(letters)} in"
        line = f"{head} {family.numbers!r}:"
        if len(line) <= WIDTH:
            yield line
        else:
            yield "\n".join([f"{head} (", *(f"        {numbers!r}," for numbers in family.numbers), "    ):"])


def hub_config(about: ModelClass) -> Iterator[str]:
    """The entries of the config.json, by the class's own names."""
    yield f'        "architectures": ["{about.kind}"],'
    yield from _told(about, "config.", "        ")
    for key, part in about.parts.items():
        yield f'        "{key}": {{'
        yield from _told(part, f"config.{field_of(key)}.", "            ")
        yield "        },"


def _told(facts: ConfigFacts, begin: str, indent: str) -> Iterator[str]:
    """The entries of one config; the expressions of its fields begin with `begin`."""
    yield f'{indent}"model_type": "{facts.model_type}",'
    for key, value in {**facts.tokens, **facts.fixed}.items():
        yield f'{indent}"{key}": {literal(value)},'
    for key, name in facts.keys.items():
        given = f"list({begin}{name})" if isinstance(facts.fields[name], tuple) else f"{begin}{name}"
        yield f'{indent}"{key}": {given},'


def config_keys(about: ModelClass) -> Iterator[str]:
    """The entries of `zoo.checkpoints.config_keys.ConfigKeys`: a verdict on every key of the config class.

    What no field holds may have the class's default alone, as the model computes nothing else, until somebody says
    otherwise.
    """
    yield from _entry("architectures", f"Only({literal(about.kind)}, each=True)")
    yield from _verdicts(about, "", without={*about.parts, "architectures"})
    for key in about.parts:
        yield from _entry(key, f"_{field_of(key).upper()}")


def part_keys(about: ModelClass) -> str:
    """The verdicts on the keys of each part of the config: an object of keys within the config.json."""
    return "".join(
        "\n".join(
            [
                f"_{field_of(key).upper()} = Nested(",
                "    {",
                "        **COMMON,",
                *_verdicts(part, f"{field_of(key)}.", without=()),
                "    }",
                ")",
                "",
                "",
            ]
        )
        for key, part in about.parts.items()
    )


def _verdicts(facts: ConfigFacts, begin: str, without: Collection[str]) -> Iterator[str]:
    """The verdicts of one config; `begin`: where its fields are, if not in the config itself."""
    verdicts = {"model_type": f"Only({literal(facts.model_type)})"}
    verdicts |= {key: f"Only({literal(value)})" for key, value in facts.fixed.items()}
    for key, name in facts.keys.items():
        value = facts.fields[name]
        default = literal(list(value) if isinstance(value, tuple) else value)
        if key in facts.derived:
            default = f"None, or_else={facts.derived[key]}"
        verdicts[key] = f'Field({default}, of=attrgetter("{begin}{name}"))' if begin else f"Field({default})"
    for key in _rotations(facts):
        verdicts[key] = "_ROTATION"
    verdicts |= {
        other: f'Field(of=attrgetter("{begin}{facts.keys[key]}"))' if begin else f"Field(name={literal(key)})"
        for other, key in facts.aliases.items()
        if key in facts.keys and other not in facts.defaults
    }
    for key, verdict in verdicts.items():
        yield from _entry(key, verdict)
    for key, value in sorted(facts.defaults.items()):
        if key not in verdicts and key not in COMMON and key not in without:
            yield from _other_entry(key, value)


def rotation(about: ModelClass) -> str:
    """The settings of the rotation, where the class has some: an object of keys with verdicts of their own."""
    settings = _rotations(about)
    if not settings:
        return ""
    others = {
        "rope_type": "default",
        "type": "default",
        **{name: value for name, value in about.defaults["rope_parameters"].items() if name != "rope_theta"},
    }
    entries = "".join(f'        "{name}": Only({literal(value)}),\n' for name, value in others.items())
    return (
        f'_ROTATION = Nested(\n    {{\n        "rope_theta": Field(name="rope_theta"),\n{entries}    }}\n)\n'
        '"""transformers 5 writes this as rope_parameters, older versions (without the base) as rope_scaling."""\n\n'
    )


def verdict_names(code: str) -> str:
    """What config_keys.py imports: the verdicts that `code` uses."""
    names = ("Field", "Ignored", "Nested", "Only", "divided", "same_as")
    used = [name for name in names if re.search(rf"\b{name}\(", code)]
    return ", ".join([*(["COMMON"] if "**COMMON" in code else []), "ConfigKeys", *used])


def _rotations(about: ConfigFacts) -> tuple[str, ...]:
    return ROTATIONS if rope_theta(about.defaults.get("rope_parameters")) is not None else ()


def _other_entry(key: str, value: Any) -> Iterator[str]:
    """A key that no field holds."""
    if re.search(r"dropout|_pdrop|layerdrop|drop_path", key):
        yield from _entry(key, 'Ignored("dropout: of training")')
    elif re.search(r"initializer|init_std", key):
        yield from _entry(key, 'Ignored("how the model was initialised")')
    elif isinstance(value, list | tuple) and len(value) > _ONE_TUPLE and all(isinstance(one, str) for one in value):
        yield from _entry(key, f"Only({', '.join(map(literal, dict.fromkeys(value)))}, each=True)", "TODO or a Field")
    elif len(literal(value)) <= WIDTH // 2:
        yield from _entry(key, f"Only({literal(value)})", "TODO or a Field, or Ignored and why")
    else:
        yield from _entry(key, 'Ignored("TODO say why, or what it may be")')


def _entry(key: str, verdict: str, comment: str = "") -> Iterator[str]:
    line = f'        "{key}": {verdict},'
    if comment and len(f"{line}  # {comment}") <= WIDTH:
        yield f"{line}  # {comment}"
        return
    if comment:
        yield f"        # {comment}"
    if len(line) <= WIDTH:
        yield line
    else:
        kind, _, rest = verdict.partition("(")
        yield f'        "{key}": {kind}(\n            {rest.removesuffix(")")}\n        ),'


def blocks(model: str, about: ModelClass) -> str:
    """The function `blocks`, with names of ours to be checked."""
    plain, loops = [], []
    stacks = sum("{0}" in name for name, _ in about.blocks)
    for name, kind in about.blocks:
        if "{0}" in name:
            count = next((family.count for family in about.families if family.name.startswith(name)), None)
            over = f"range(config.{count})" if count else "range(1)"
            begin = "layer" if stacks == 1 else "_".join(re.split(r"_?model\.|\.", name)[:-2])
            loops += [
                *([] if count else ["    # TODO for how many"]),
                f"    for n in {over}:",
                f'        found[f"{begin.strip("_")}_{{n}}"] = f"{name.format("{n}")}"  # {kind}',
            ]
        else:
            last = name.rpartition(".")[2]
            twice = sum(other.rpartition(".")[2] == last for other, _ in about.blocks) > 1
            plain.append(f'        "{name.replace(".", "_") if twice else last}": "{name}",  # {kind}')
    return "\n".join(
        [
            f"def blocks(config: {model}Config) -> dict[str, str]:",
            '    """Our modules, and those of the reference that give the same."""',
            "    # TODO the names on the left are guesses: put those that the modules in model.py have.",
            "    found = {",
            *plain,
            "    }",
            *loops,
            "    return found",
            "",
            "",
        ]
    )
