"""A record of where the arrays of a model lie, so that a wrong sharding is seen: outputs do not show it.

Rows that are not spread over ``batch``, or a bias that is on every chip, cost memory and time and change no number.
``placement.json`` in a model's folder says it once more, apart from the code:

    {"arrays": [{"variants": [VARIANT], "inputs": {NAME: "batch, -"}, "outputs": {NAME: "batch, -, model"},
                 "parameters": {"params/h_*/fc/kernel": "-, model"}}],
     "bytes_per_chip": {VARIANT: {MESH: BYTES}}}

An axis of an array is ``-`` or the mesh axes that it is spread over, ``batch+model``; an array that is ``whole`` is on
every chip. Numbers in names are ``*`` where all of them are alike. ``python -m zoo placement MODEL`` writes the file;
a reviewer reads what it changes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from jax.sharding import AbstractMesh

from pytest_tt.targets.mesh import MeshShape
from zoo.checkpoints.placement import bytes_per_chip
from zoo.parts.sharding import tree_by_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jax.sharding import PartitionSpec

    from zoo.registry import Model

FILE = "placement.json"

WHOLE = "whole"

_NUMBER = re.compile(r"(?<=_)\d+")


def path_of(model: Model) -> Path:
    """Where the placement of a model is written down."""
    return model.files / FILE


def words(spec: PartitionSpec, rank: int) -> str:
    """A PartitionSpec of an array of `rank` axes, e.g. ``-, model``."""
    parts = ["+".join((part,) if isinstance(part, str) else part) if part else "-" for part in spec]
    return ", ".join(parts + ["-"] * (rank - len(parts))) if set(parts) - {"-"} else WHOLE


def of_variant(model: Model, variant: str, shapes: dict[Any, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Where the arrays of a variant lie as the code says it: inputs, outputs, parameters; bytes_per_chip by mesh.

    `shapes`: parameters of configs that are known already, and outputs by ``(config, "outputs")``; others are added.
    ValueError where an array lies otherwise on one mesh than on another.
    """
    shapes = {} if shapes is None else shapes
    architecture, sharding, config = model.architecture, model.sharding, model.config(variant)
    one = architecture.of_one_layer(config)  # has the outputs of all of them, and is traced in a moment
    if one not in shapes:
        shapes[one] = architecture.shapes(one)
    if (one, "outputs") not in shapes:
        shapes[one, "outputs"] = architecture.output_shapes(one, shapes[one])
    inputs, outputs = dict(architecture.example(config)), shapes[one, "outputs"]
    found: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}, "parameters": {}, "bytes_per_chip": {}}
    for text in sharding.meshes:
        mesh, fitted = fitted_to(model, config, text)
        if fitted not in shapes:
            shapes[fitted] = architecture.shapes(fitted)
        leaves, spec_of = tree_by_path(shapes[fitted]), sharding.param_spec_of(fitted, mesh)
        kinds: dict[str, tuple[Mapping[str, PartitionSpec], Mapping[str, Any]]] = {
            "inputs": (sharding.input_specs(fitted, mesh), inputs),
            "outputs": (sharding.output_specs(fitted, mesh), outputs),
            "parameters": ({path: spec_of(path) for path in leaves}, leaves),
        }
        for kind, (by_name, arrays) in kinds.items():
            for name, spec in by_name.items():
                where = words(spec, arrays[name].ndim)
                if found[kind].setdefault(name, where) != where:
                    raise ValueError(
                        f"{model.name} {variant}: {kind} {name}: {where} on {text}, else {found[kind][name]}"
                    )
        found["bytes_per_chip"][text] = bytes_per_chip(model, config, mesh, shapes[fitted])
    return found


def described(model: Model) -> dict[str, Any]:
    """The content of the file as the code says it now. ValueError as of `of_variant`."""
    alike: list[tuple[list[str], dict[str, dict[str, str]]]] = []
    sizes: dict[str, dict[str, int]] = {}
    shapes: dict[Any, Any] = {}
    for variant in model.variants:
        found = of_variant(model, variant, shapes)
        sizes[variant] = found.pop("bytes_per_chip")
        for variants, tables in alike:
            if all(
                table.get(name, where) == where for kind, table in tables.items() for name, where in found[kind].items()
            ):
                variants.append(variant)
                for kind, table in tables.items():
                    table.update(found[kind])
                break
        else:
            alike.append(([variant], found))
    groups = [
        {"variants": variants, **tables, "parameters": _starred(tables["parameters"])} for variants, tables in alike
    ]
    return {"arrays": groups, "bytes_per_chip": sizes}


def fitted_to(model: Model, config: Any, text: str) -> tuple[Any, Any]:
    """A mesh of that name without chips, and the config that fits it."""
    shape = MeshShape.parse(text)
    mesh: Any = AbstractMesh((shape.rows, shape.cols), ("batch", "model"))
    return mesh, model.sharding.fit(config, mesh)


def problems(model: Model, variant: str, shapes: dict[Any, Any] | None = None) -> list[str]:
    """Where the placement of a variant differs from the file, one line each; empty when all agrees."""
    path = path_of(model)
    record = f"python -m zoo placement {model.name}"
    if not path.is_file():
        return [f"{path}: missing; write it with: {record}, and read it"]
    told = json.loads(path.read_text(encoding="utf-8"))
    try:
        found = of_variant(model, variant, shapes)
    except ValueError as error:
        return [str(error)]
    here: dict[str, Any] = next((group for group in told["arrays"] if variant in group["variants"]), {})
    rows = []
    for kind in ("inputs", "outputs", "parameters"):
        table = here.get(kind, {})
        for name, where in found[kind].items():
            there = table.get(name, table.get(_NUMBER.sub("*", name), "not there"))
            if where != there:
                rows.append(f"{variant}: {kind} {name}: {where}, in {FILE}: {there}")
    for mesh, count in found["bytes_per_chip"].items():
        there = told["bytes_per_chip"].get(variant, {}).get(mesh, "not there")
        if count != there:
            rows.append(f"{variant}: {count} bytes of parameters a chip on {mesh}, in {FILE}: {there}")
    return [*rows, f"if that is meant: {record}"] if rows else []


def text_of(content: Mapping[str, Any]) -> str:
    """`content` as the file has it: a line for each array, and for each variant's bytes."""
    groups = []
    for group in content["arrays"]:
        tables = [f'"{kind}": {_table(group[kind], 8)}' for kind in ("inputs", "outputs", "parameters")]
        groups.append(
            "    {\n      " + ",\n      ".join([f'"variants": {json.dumps(group["variants"])}', *tables]) + "\n    }"
        )
    arrays = "[\n" + ",\n".join(groups) + "\n  ]"
    return f'{{\n  "arrays": {arrays},\n  "bytes_per_chip": {_table(content["bytes_per_chip"], 4)}\n}}\n'


def _table(rows: Mapping[str, Any], indent: int) -> str:
    lines = [f"{' ' * indent}{json.dumps(name)}: {json.dumps(value)}" for name, value in rows.items()]
    return "{\n" + ",\n".join(lines) + f"\n{' ' * (indent - 2)}}}"


def _starred(places: Mapping[str, str]) -> dict[str, str]:
    """Numbers in names as ``*``, where all arrays of the name lie alike."""
    groups: dict[str, set[str]] = {}
    for name, where in places.items():
        groups.setdefault(_NUMBER.sub("*", name), set()).add(where)
    return dict(_renamed(places, groups))


def _renamed(places: Mapping[str, str], groups: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    for name, where in places.items():
        starred = _NUMBER.sub("*", name)
        yield (starred if len(groups[starred]) == 1 else name), where
