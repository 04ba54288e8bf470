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
    rotation,
    rules,
    tensors,
    verdict_names,
)
from zoo.authoring.field_names import zoo_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.authoring.model_class import ModelClass

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
    code, settings = "\n".join(config_keys(about)), rotation(about)
    return {
        "config_class": about.config_class,
        "verdicts": verdict_names(settings + code),
        "rotation": settings,
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
    tiny: Mapping[str, Any] = {} if about is None else about.tiny
    model = _class_name(name, about)
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
        "rules": "" if about is None else "\n".join(rules(about.families)),
        "hub_config": "" if about is None else "\n".join(hub_config(about)),
        "tensors": "" if about is None else "\n".join(tensors(about.families)),
        "draw": "uniform" if "pixel_values" in inputs else "integers",
        "inputs_about": _INPUTS_ABOUT["pixel_values" if "pixel_values" in inputs else "tokens"],
        "made_up_inputs": _made_up_inputs(name, inputs, fields),
        "torch_inputs": _TORCH_INPUTS["pixel_values" if "pixel_values" in inputs else "tokens"],
        "output_names": ", ".join(f'"{key}"' for key in outputs) + ("," if len(outputs) == 1 else ""),
        "input_specs": ", ".join(f'"{key}": P("batch")' for key in inputs),
        "output_specs": ", ".join(f'"{key}": P("batch")' for key in outputs),
        "example": _example(inputs, fields),
        "blocks_function": "" if about is None else blocks(model, about),
        "checkpoint": "" if about is None else _CHECKPOINT,
        "folder": "    folder=Path(__file__).parent,\n" if own_folder else "",
        "parts": ", ".join(
            ["Architecture", *([] if about is None else ["Checkpoint"]), "GoldenCase", "Model", "Sharding"]
        ),
        "numpy": "" if "pixel_values" in inputs else "import numpy as np\n\n",
        "numpy_types": "    import numpy as np\n\n" if "pixel_values" in inputs else "",
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


def _fields(fields: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    lines = []
    for field, value in fields.items():
        kind = f"tuple[{type(value[0]).__name__}, ...]" if isinstance(value, tuple) and value else type(value).__name__
        lines.append(f"    {field}: {kind} = {literal(value)}")
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
