"""The texts of a new model's files, from the templates beside this module."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from zoo.authoring.checkpoint_code import (
    WIDTH,
    blocks,
    config_keys,
    hub_config,
    literal,
    part_keys,
    rotation,
    rules,
    tensors,
    verdict_names,
)
from zoo.authoring.field_names import zoo_names
from zoo.authoring.model_class import field_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from zoo.authoring.model_class import ConfigFacts, ModelClass

TEMPLATES = Path(__file__).parent / "templates"


def write_files(name: str, package: str, about: ModelClass | None, *, own_folder: bool) -> dict[str, str]:
    """File name to text. `own_folder`: the registration says where its goldens are, as outside ``zoo/`` it must."""
    words = _words(name, package, about, own_folder=own_folder)
    alone = "" if about is not None else "_alone"
    sources = {
        "model.py": "model",
        "params.py": f"params{alone}",
        **({} if about is None else {"config_keys.py": "config_keys"}),
        "reference.py": f"reference{alone}",
        "sharding.py": "sharding",
        "registration.py": "registration",
        "mutants.py": "mutants",
        f"test_{name}.py": "test",
        "README.md": "readme",
    }
    files = {"__init__.py": f'"""{words["Model"]}."""\n'}
    for file, source in sources.items():
        files[file] = _filled(source, words)
    if about is not None:
        files["published.json"] = '{\n  "not_compared": {},\n  "variants": {}\n}\n'
    return files


def _filled(template: str, words: Mapping[str, str]) -> str:
    """The template of that name with its `words`."""
    text = Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)
    return _sorted_imports(re.sub(r"\n{4,}", "\n\n\n", text.rstrip() + "\n"))


def _config_key_words(about: ModelClass) -> dict[str, str]:
    code, settings, parts = "\n".join(config_keys(about)), rotation(about), part_keys(about)
    return {
        "config_class": about.config_class,
        "verdicts": verdict_names(settings + parts + code),
        "rotation": settings,
        "part_keys": parts,
        "attrgetter": "from operator import attrgetter\n\n" if "attrgetter" in parts else "",
        "config_keys": code,
    }


def _sorted_imports(code: str) -> str:
    """Imports that follow one another by the names of their modules: where ours comes depends on its name."""
    lines: list[str] = []
    for imports, group in groupby(code.splitlines(), _is_import):
        found = list(group)
        lines += sorted(found, key=lambda line: line.split()[1]) if imports else found
    return "\n".join(lines) + "\n"


def _is_import(line: str) -> bool:
    return re.match(r" *(?:from|import) \S", line) is not None


def _words(name: str, package: str, about: ModelClass | None, *, own_folder: bool) -> dict[str, str]:
    inputs = {"x": "float32 [batch, features]"} if about is None else about.inputs
    outputs = {"y": "[batch, features]"} if about is None else about.outputs or {"logits": "[batch, tokens, labels]"}
    fields = {"features": 24} if about is None else about.fields
    parts = {} if about is None else about.parts
    model = _class_name(name, about)
    variants = _variants(model, about)
    names = "TINY," if about is None else "BASE, TINY"
    sizes = (*fields, *(f"{field_of(key)}.{field}" for key, part in parts.items() for field in part.fields))
    return {
        "name": name,
        "Model": model,
        "package": package,
        "place": package.replace(".", "/"),
        "kind": "the reference" if about is None else about.kind,
        "about": model if about is None else about.kind,
        "unwritten": _unwritten(f"{package.replace('.', '/')}/model.py: {model}.__call__ is to be written", about),
        "fields": _fields(fields, {} if about is None else about.others, parts),
        "part_classes": "".join(_part_class(key, part) for key, part in parts.items()),
        "dataclass_names": "dataclass, field" if parts else "dataclass",
        "variants": variants,
        "variant_names": names,
        "signature": _signature(", ".join(f"{key}: jax.Array" for key in inputs)),
        "imported": ", ".join(sorted(("CONFIGS", "TINY", model, "forward"), key=_isort)),
        "takes": _takes(inputs),
        "gives": ", ".join(f"``{key}`` {shape}" for key, shape in outputs.items()),
        "rules": "" if about is None else "\n".join(rules(about.families)),
        "hub_config": "" if about is None else "\n".join(hub_config(about)),
        "tensors": "" if about is None else "\n".join(tensors(about.families)),
        "draws": ", ".join(_draws(inputs)),
        "inputs_about": "; ".join(text for key, text in _INPUTS_ABOUT.items() if key in inputs) + ", in eight rows.",
        "made_up_inputs": _made_up_inputs(name, inputs, sizes),
        "output_names": ", ".join(f'"{key}"' for key in outputs) + ("," if len(outputs) == 1 else ""),
        "input_specs": ", ".join(f'"{key}": P("batch")' for key in inputs),
        "output_specs": ", ".join(f'"{key}": P("batch")' for key in outputs),
        "example": _example(inputs, sizes),
        "blocks_function": "" if about is None else blocks(model, about),
        "checkpoint": "" if about is None else _CHECKPOINT,
        "folder": "    folder=Path(__file__).parent,\n" if own_folder else "",
        "parts": ", ".join(
            ["Architecture", *([] if about is None else ["Checkpoint"]), "GoldenCase", "Model", "Sharding"]
        ),
        "numpy": "import numpy as np\n\n" if "integers" in _draws(inputs) else "",
        "numpy_types": "" if "integers" in _draws(inputs) else "    import numpy as np\n\n",
        "modules": "params, reference, sharding" if about is None else "config_keys, params, reference, sharding",
        **({} if about is None else _config_key_words(about)),
        "path_import": "from pathlib import Path\n" if own_folder else "",
    }


def _class_name(name: str, about: ModelClass | None) -> str:
    if about is None:
        return "".join(part.capitalize() for part in name.split("_"))
    return re.sub(r"(?:For[A-Z]\w*|LMHeadModel|DoubleHeadsModel|Model)$", "", about.kind) or about.kind


def _isort(name: str) -> tuple[bool, bool, str]:
    """Constants, classes, functions."""
    return not name.isupper(), not name[0].isupper(), name


def _unwritten(text: str, about: ModelClass | None) -> str:
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


def _variants(model: str, about: ModelClass | None) -> str:
    """The configs of `model`, as published and for tests."""
    if about is None:
        return f'# TODO sizes for tests, small and all different.\nTINY = {model}Config("tiny")'
    arguments = ['"tiny"', *(f"{field}={size!r}" for field, size in about.tiny.items())]
    for key, part in about.parts.items():
        given = ", ".join(f"{field}={size!r}" for field, size in part.tiny.items())
        if given:
            arguments.append(f"{field_of(key)}={part.config_class}({given})")
    line = f"TINY = {model}Config({', '.join(arguments)})"
    if len(line) > WIDTH:
        lines = (f"    {argument}," for argument in arguments)
        line = "\n".join([f"TINY = {model}Config(", *(one for long in lines for one in _broken(long)), ")"])
    small = "" if len(arguments) > 1 else "# TODO sizes for tests, small and all different.\n"
    return f'BASE = {model}Config("base")  # TODO upstream\'s name of it, and other published sizes\n{small}{line}'


def _broken(line: str) -> list[str]:
    """The line, or a call on it with an argument a line."""
    if len(line) <= WIDTH:
        return [line]
    head, _, rest = line.partition("(")
    return [f"{head}(", *(f"        {argument}," for argument in rest.removesuffix("),").split(", ")), "    ),"]


def _part_class(key: str, part: ConfigFacts) -> str:
    """The class of a part of the config."""
    return (
        f"@dataclass(frozen=True, slots=True)\nclass {part.config_class}:\n"
        f'    """What a config.json has as {key}, by the zoo\'s names."""\n\n'
        f"{_fields(part.fields, part.others, {})}\n\n\n"
    )


def _fields(fields: Mapping[str, Any], others: Mapping[str, Any], parts: Mapping[str, ConfigFacts]) -> str:
    lines = []
    for field, value in fields.items():
        kind = f"tuple[{type(value[0]).__name__}, ...]" if isinstance(value, tuple) and value else type(value).__name__
        lines.append(f"    {field}: {kind} = {literal(value)}")
    for key, part in parts.items():
        lines.append(f"    {field_of(key)}: {part.config_class} = field(default_factory={part.config_class})")
    for key, value in others.items():
        text, (name,) = " ".join(repr(value).split()), zoo_names([key], {}).values()
        field = name if name == key else f"{name} ({key})"
        lines.append(f"    # TODO {field}, if the forward pass needs it: {text if len(text) < 80 else '…'}")
    return "\n".join(lines)


def _takes(inputs: Mapping[str, str]) -> str:
    """The inputs in words, those of one shape together."""
    by_shape: dict[str, list[str]] = {}
    for name, shape in inputs.items():
        by_shape.setdefault(shape, []).append(f"`{name}`")
    return "; ".join(f"{', '.join(names)} {shape}" for shape, names in by_shape.items())


_CHECKPOINT = """\
    checkpoint=Checkpoint(
        sources=params.SOURCES,
        key_map=params.key_map,
        synthetic=params.synthetic_checkpoint,
        hub_config=params.hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
"""

_INPUTS_ABOUT = {
    "input_ids": "Random tokens, each row padded but the first",
    "pixel_values": "Random images",
    "input_features": "Random sounds",
    "decoder_input_ids": "Random tokens as written",
}

_TOKENS = ("input_ids", "attention_mask", "token_type_ids", "decoder_input_ids")


def _draws(inputs: Mapping[str, str]) -> list[str]:
    """What makes them up, of `zoo.checkpoints.synthetic`."""
    return [
        *(["integers"] if set(_TOKENS) & set(inputs) else []),
        *(["uniform"] if set(inputs) - set(_TOKENS) else []),
    ]


def _shapes(sizes: Collection[str]) -> dict[str, str]:
    """The shape of each input that is not of tokens."""
    side, bins = _size("image_size", sizes, "64"), _size("num_mel_bins", sizes, "80")
    return {
        "pixel_values": f"(8, {side}, {side}, {_size('num_channels', sizes, '3')})",
        "input_features": f"(8, {bins}, 2 * {_size('max_source_positions', sizes, '1500')})",
    }


def _size(name: str, sizes: Collection[str], otherwise: str) -> str:
    """The field of the config, or of a part of it, with that name."""
    found = next((size for size in sizes if size.rpartition(".")[2] == name), None)
    return f"config.{found}" if found else otherwise


def _made_up_inputs(name: str, inputs: Mapping[str, str], sizes: Collection[str]) -> str:
    words = _size("vocab_size", sizes, "")
    if "x" in inputs or (set(_TOKENS) & set(inputs) and not words):
        return (
            '    # TODO inputs by which every part of the model shows.\n    raise NotImplementedError("made_up_inputs")'
        )
    lines = [f'    stream = f"{name}/{{config.name}}/input"']
    if "input_ids" in inputs:
        lines += [
            '    lengths = 16 - integers(f"{stream}/padding", (8, 1), 12)',
            "    lengths[0] = 16",
            "    mask = np.arange(16)[None, :] < lengths",
            f'    ids = integers(f"{{stream}}/ids", (8, 16), {words})',
        ]
    values = {
        "input_ids": "np.where(mask, ids, 0).astype(np.int32)",
        "attention_mask": "mask.astype(np.int32)",
        "token_type_ids": "(mask & (np.arange(16) > 5)).astype(np.int32)",
        "decoder_input_ids": f'integers(f"{{stream}}/written", (8, 12), {words}).astype(np.int32)',
        **{key: f'uniform(f"{{stream}}/{key}", {shape})' for key, shape in _shapes(sizes).items()},
    }
    return "\n".join([*lines, "    return {", *(f'        "{key}": {values[key]},' for key in inputs), "    }"])


def _example(inputs: Mapping[str, str], sizes: Collection[str]) -> str:
    if "x" in inputs:
        return '    return {"x": np.zeros((8, config.features), np.float32)}'
    values = {
        "attention_mask": "np.ones_like(ids)",
        **{key: f"np.zeros({shape}, np.float32)" for key, shape in _shapes(sizes).items()},
    }
    given = [f'"{key}": {values.get(key, "ids")}' for key in inputs]
    lines = ["    ids = np.zeros((8, 16), np.int32)"] if set(_TOKENS) & set(inputs) else []
    line = f"    return {{{', '.join(given)}}}"
    if len(line) > WIDTH:
        line = "\n".join(["    return {", *(f"        {entry}," for entry in given), "    }"])
    return "\n".join([*lines, line])
