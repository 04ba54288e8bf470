"""The texts of a new model's files, from the templates beside this module."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zoo.authoring.architecture import Architecture
    from zoo.authoring.shapes import Family

TEMPLATES = Path(__file__).parent / "templates"

WIDTH = 120


def write_files(name: str, package: str, about: Architecture | None, *, own_folder: bool) -> dict[str, str]:
    """File name to text. `own_folder`: the registration says where its goldens are, as outside ``zoo/`` it must."""
    words = _words(name, package, about, own_folder=own_folder)
    alone = "" if about is not None else "_alone"
    sources = {
        "model.py": "model",
        "params.py": f"params{alone}",
        "reference.py": f"reference{alone}",
        "sharding.py": "sharding",
        "registration.py": "registration",
        "mutants.py": "mutants",
        f"test_{name}.py": "test",
        "README.md": "readme",
    }
    files = {"__init__.py": f'"""{words["Model"]}."""\n'}
    for file, source in sources.items():
        template = Template((TEMPLATES / f"{source}.txt").read_text(encoding="utf-8"))
        files[file] = _sorted_imports(re.sub(r"\n{4,}", "\n\n\n", template.substitute(words).rstrip() + "\n"))
    if about is not None:
        files["published.json"] = '{\n  "not_compared": {},\n  "variants": {}\n}\n'
    return files


def _sorted_imports(code: str) -> str:
    """Imports that follow one another by the names of their modules: where ours comes depends on its name."""
    lines: list[str] = []
    for imports, group in groupby(code.splitlines(), _is_import):
        found = list(group)
        lines += sorted(found, key=lambda line: line.split()[1]) if imports else found
    return "\n".join(lines) + "\n"


def _is_import(line: str) -> bool:
    return re.match(r" *(?:from|import) \S", line) is not None


def _words(name: str, package: str, about: Architecture | None, *, own_folder: bool) -> dict[str, str]:
    inputs = {"x": "float32 [batch, features]"} if about is None else about.inputs
    outputs = {"y": "[batch, features]"} if about is None else about.outputs or {"logits": "[batch, tokens, labels]"}
    fields = {"features": 24} if about is None else about.fields
    tiny: Mapping[str, Any] = {} if about is None else about.tiny
    model = _class_name(name, about)
    more = ["    folder=Path(__file__).parent,"] if own_folder else []
    if about is not None:
        more += [
            "    sources=params.SOURCES,",
            "    keys=params.keys,",
            "    synthetic=params.synthetic_checkpoint,",
            "    hub_config=params.hub_config,",
            "    blocks=blocks,",
        ]
    variants = f'TINY = {model}Config("tiny"{"".join(f", {field}={size!r}" for field, size in tiny.items())})'
    todo_tiny = "# TODO sizes for tests, small and all different.\n" if not tiny else ""
    names = "TINY,"
    if about is not None:
        variants = f'BASE = {model}Config("base")  # TODO upstream\'s name of it, and other published sizes\n{variants}'
        names = "BASE, TINY"
    return {
        "name": name,
        "Model": model,
        "package": package,
        "place": package.replace(".", "/"),
        "kind": "the reference" if about is None else about.kind,
        "about": model if about is None else about.kind,
        "unwritten": _unwritten(f"{package.replace('.', '/')}/model.py: {model}.__call__ is to be written", about),
        "fields": _fields(fields, {} if about is None else about.others),
        "variants": _wrapped(todo_tiny + variants),
        "variant_names": names,
        "signature": _signature(", ".join(f"{key}: jax.Array" for key in inputs)),
        "imported": ", ".join(sorted(("CONFIGS", "TINY", model, "forward"), key=_isort)),
        "takes": _takes(inputs),
        "gives": ", ".join(f"``{key}`` {shape}" for key, shape in outputs.items()),
        "rules": "" if about is None else "\n".join(_rules(about.families)),
        "hub_config": "" if about is None else "\n".join(_hub_config(about)),
        "tensors": "" if about is None else "\n".join(_tensors(about.families)),
        "draw": "uniform" if "pixel_values" in inputs else "integers",
        "inputs_about": _INPUTS_ABOUT["pixel_values" if "pixel_values" in inputs else "tokens"],
        "made_up_inputs": _made_up_inputs(name, inputs, fields),
        "torch_inputs": _TORCH_INPUTS["pixel_values" if "pixel_values" in inputs else "tokens"],
        "output_names": ", ".join(f'"{key}"' for key in outputs) + ("," if len(outputs) == 1 else ""),
        "input_specs": ", ".join(f'"{key}": P("batch")' for key in inputs),
        "output_specs": ", ".join(f'"{key}": P("batch")' for key in outputs),
        "example": _example(inputs, fields),
        "blocks_function": "" if about is None else _blocks(model, about),
        "more": "".join(f"{line}\n" for line in more),
        "numpy": "" if "pixel_values" in inputs else "import numpy as np\n\n",
        "numpy_types": "    import numpy as np\n\n" if "pixel_values" in inputs else "",
        "path_import": "from pathlib import Path\n" if own_folder else "",
    }


def _class_name(name: str, about: Architecture | None) -> str:
    if about is None:
        return "".join(part.capitalize() for part in name.split("_"))
    return re.sub(r"(?:For[A-Z]\w*|LMHeadModel|DoubleHeadsModel|Model)$", "", about.kind) or about.kind


def _isort(name: str) -> tuple[bool, bool, str]:
    """Constants, classes, functions."""
    return not name.isupper(), not name[0].isupper(), name


def _unwritten(text: str, about: Architecture | None) -> str:
    """The statement that says what is to be written."""
    text += "" if about is None else f", as {about.module} has it"
    line = f'        raise NotImplementedError("{text}")'
    if len(line) <= WIDTH:
        return line
    if len(text) + 14 > WIDTH:
        head, _, tail = text.partition(", as ")
        text = f'{head}"\n            ", as {tail}'
    return f'        raise NotImplementedError(\n            "{text}"\n        )'


def _signature(arguments: str) -> str:
    line = f"    def __call__(self, {arguments}) -> dict[str, jax.Array]:"
    if len(line) <= WIDTH:
        return line
    return f"    def __call__(\n        self, {arguments}\n    ) -> dict[str, jax.Array]:"


def _fields(fields: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    lines = []
    for field, value in fields.items():
        kind = f"tuple[{type(value[0]).__name__}, ...]" if isinstance(value, tuple) and value else type(value).__name__
        lines.append(f"    {field}: {kind} = {_literal(value)}")
    for field, value in others.items():
        text = " ".join(repr(value).split())
        lines.append(f"    # TODO {field}, if the forward pass needs it: {text if len(text) < 80 else '…'}")
    return "\n".join(lines)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else re.sub(r"'([^']*)'", r'"\1"', repr(value))


def _rules(families: Iterable[Family]) -> Iterable[str]:
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


def _tensors(families: Iterable[Family]) -> Iterable[str]:
    """Code that yields names and shapes; neighbours of one number of layers share a loop."""
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


def _takes(inputs: Mapping[str, str]) -> str:
    """The inputs in words, those of one shape together."""
    by_shape: dict[str, list[str]] = {}
    for name, shape in inputs.items():
        by_shape.setdefault(shape, []).append(f"`{name}`")
    return "; ".join(f"{', '.join(names)} {shape}" for shape, names in by_shape.items())


def _wrapped_loop(letters: list[str], family: Family) -> Iterable[str]:
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


def _hub_config(about: Architecture) -> Iterable[str]:
    yield f'        "architectures": ["{about.kind}"],'
    yield f'        "model_type": "{about.model_type}",'
    for field, value in about.tokens.items():
        yield f'        "{field}": {value!r},'
    for field, value in about.fields.items():
        given = f"list(config.{field})" if isinstance(value, tuple) else f"config.{field}"
        yield f'        "{field}": {given},'


_INPUTS_ABOUT = {
    "tokens": "Random tokens in eight rows of sixteen, each padded but the first.",
    "pixel_values": "Eight random images.",
}
_TORCH_INPUTS = {
    "tokens": "name: torch.from_numpy(value).long() for name, value in inputs.items()",
    "pixel_values": "name: torch.from_numpy(value).permute(0, 3, 1, 2) for name, value in inputs.items()",
}


def _made_up_inputs(name: str, inputs: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    if "pixel_values" in inputs:
        shape = f"(8, {_side(fields)}, {_side(fields)}, {_channels(fields)})"
        return f'    shape = {shape}\n    return {{"pixel_values": uniform(f"{name}/{{config.name}}/input", shape)}}'
    if "vocab_size" not in fields:
        return (
            '    # TODO inputs by which every part of the model shows.\n    raise NotImplementedError("made_up_inputs")'
        )
    lines = [
        f'    stream = f"{name}/{{config.name}}/input"',
        '    lengths = 16 - integers(f"{stream}/padding", (8, 1), 12)',
        "    lengths[0] = 16",
        "    mask = np.arange(16)[None, :] < lengths",
        '    ids = integers(f"{stream}/ids", (8, 16), config.vocab_size)',
        "    return {",
        '        "input_ids": np.where(mask, ids, 0).astype(np.int32),',
        '        "attention_mask": mask.astype(np.int32),',
    ]
    if "token_type_ids" in inputs:
        lines.append('        "token_type_ids": (mask & (np.arange(16) > 5)).astype(np.int32),')
    return "\n".join([*lines, "    }"])


def _example(inputs: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    if "pixel_values" in inputs:
        shape = f"(8, {_side(fields)}, {_side(fields)}, {_channels(fields)})"
        return f'    return {{"pixel_values": np.zeros({shape}, np.float32)}}'
    if "x" in inputs:
        return '    return {"x": np.zeros((8, config.features), np.float32)}'
    lines = ["    ids = np.zeros((8, 16), np.int32)"]
    values = {"input_ids": "ids", "attention_mask": "np.ones_like(ids)"}
    given = ", ".join(f'"{key}": {values.get(key, "ids")}' for key in inputs)
    return "\n".join([*lines, f"    return {{{given}}}"])


def _side(fields: Mapping[str, Any]) -> str:
    return "config.image_size" if isinstance(fields.get("image_size"), int) else "64"


def _channels(fields: Mapping[str, Any]) -> str:
    return "config.num_channels" if "num_channels" in fields else "3"


def _blocks(model: str, about: Architecture) -> str:
    """The function `blocks`, with names of ours to be checked."""
    plain, loops = [], []
    for name, kind in about.blocks:
        if "{0}" in name:
            count = next((family.count for family in about.families if family.name.startswith(name)), None)
            over = f"range(config.{count})" if count else "range(1)"
            loops += [
                *([] if count else ["    # TODO for how many"]),
                f"    for n in {over}:",
                f'        found[f"layer_{{n}}"] = f"{name.format("{n}")}"  # {kind}',
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


def _wrapped(code: str) -> str:
    """Calls on lines that are too long, with an argument a line."""
    lines = []
    for line in code.splitlines():
        if len(line) > WIDTH and "(" in line:
            head, _, rest = line.partition("(")
            arguments = rest.removesuffix(")").split(", ")
            lines += [f"{head}(", *(f"    {argument}," for argument in arguments), ")"]
        else:
            lines.append(line)
    return "\n".join(lines)
