"""The table of ``python -m zoo list``: what there is, how large, on which meshes, and what its numbers are checked by.

Importing JAX and the models takes longer than the table may, so what it says of the zoo's own models is recorded in
``listing.json``. A record counts as long as the files that it was made of are the same; else the model is asked.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.discovery import GROUP
from pytest_tt.packages import entry_points
from zoo import registry
from zoo.cli.table import short, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zoo.registry import Model

RECORDS = registry.ROOT / "listing.json"

SOURCES = ("registration.py", "model.py", "params.py")
"""Files of a model's folder that a record is made of."""

WIDTH = 100

NO_BREAK = "\N{NO-BREAK SPACE}"

HEADER = ("variant", "parameters", "bytes", "hub")

LEGEND = """\
parameters: as published, tied weights once. bytes: of the weights on one chip.
hub: there are published weights. Their revisions, and all of this for programs: zoo list --json
goldens: recorded outputs of an independent implementation, which the model's meshes must give.
none: tests check shapes and placement on every mesh, and the code by the golden named, the nearest."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says of a variant.

    parameters: as published: tied weights once, nothing that the zoo adds; None of a model that is not written yet.
    bytes: of all that is on one chip. goldens: cases of this variant. nearest: without goldens, that of the variant
    whose config differs least. repo, revision: of its published weights.
    """

    model: str
    variant: str
    parameters: int | None
    bytes: int | None
    meshes: tuple[str, ...]
    goldens: tuple[str, ...]
    nearest: str | None
    repo: str | None
    revision: str | None
    folder: str | None = None
    """Of the goldens, if the model is another package's."""


def rows_of(model: Model) -> list[Row]:
    """A row for each variant. Sizes come from shapes alone: no backend starts, nothing is computed."""
    found = []
    for variant, config in model.variants.items():
        parameters, nbytes = _sizes(model, config)
        goldens = tuple(name for name, case in model.goldens.items() if case.variant == variant)
        source = model.sources.get(variant)
        found.append(
            Row(
                model=model.name,
                variant=variant,
                parameters=parameters,
                bytes=nbytes,
                meshes=tuple(model.sharding.meshes),
                goldens=goldens,
                nearest=None if goldens else nearest(model, variant),
                repo=source.repo if source else None,
                revision=source.revision if source else None,
                folder=str(model.golden_folder) if model.folder else None,
            )
        )
    return found


def nearest(model: Model, variant: str) -> str | None:
    """The golden case of another variant, whose config differs in the fewest fields; None without goldens.

    Numbers are sizes of the same code; flags and words choose code, and count first.
    """
    config = model.variants[variant]

    def distance(case: str) -> tuple[int, int]:
        other = model.variants[model.goldens[case].variant]
        if not is_dataclass(config) or type(other) is not type(config):
            return 0, 0
        names = [field.name for field in fields(config) if field.name != "name"]
        different = [type(getattr(config, name)) for name in names if getattr(config, name) != getattr(other, name)]
        return sum(kind in (bool, str) for kind in different), len(different)

    return min(model.goldens, key=distance, default=None)


def _sizes(model: Model, config: Any) -> tuple[int | None, int | None]:
    """Parameters and bytes; None of a model that is being written."""
    from flax.traverse_util import flatten_dict

    try:
        leaves: dict[str, Any] = flatten_dict(model.architecture.shapes(config), sep="/")
    except NotImplementedError:
        return None, None
    helpers = model.architecture.helpers
    counted = (leaf for path, leaf in leaves.items() if path.startswith("params/") and path not in helpers)
    return sum(leaf.size for leaf in counted), sum(leaf.size * leaf.dtype.itemsize for leaf in leaves.values())


def all_rows() -> list[Row]:
    """Of every model, ours and those of other packages, by the models' names. ZooError as of `registry.models`."""
    recorded, own = records(), registry.names()
    # Only models of other packages make it necessary to import any.
    others = registry.models() if list(entry_points(GROUP)) else {}
    found = {name: others[name] for name in others if name not in own}
    return [
        row
        for name in sorted({*own, *found})
        for row in (recorded.get(name) or rows_of(found.get(name) or registry.model(name)))
    ]


def records() -> dict[str, list[Row]]:
    """Rows of our models whose files are those that the record was made of."""
    if not RECORDS.is_file():
        return {}
    content: Mapping[str, Any] = json.loads(RECORDS.read_text(encoding="utf-8"))
    return {
        name: [_row(row) for row in record["rows"]]
        for name, record in content.items()
        if name in registry.names() and record["sources"] == digest(registry.ROOT / name)
    }


def _row(content: dict[str, Any]) -> Row:
    lists = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
    values: dict[str, Any] = {**content, **lists}
    return Row(**values)


def record() -> str:
    """What ``listing.json`` should hold."""
    content = {
        name: {
            "sources": digest(registry.ROOT / name),
            "rows": [asdict(row) for row in rows_of(registry.model(name))],
        }
        for name in registry.names()
    }
    return json.dumps(content, indent=1) + "\n"


def digest(folder: Path) -> str:
    """SHA-256 of the `SOURCES` in the folder of a model."""
    found = hashlib.sha256()
    for name in SOURCES:
        path = folder / name
        found.update(path.read_bytes() if path.is_file() else b"")
        found.update(b"\0")
    return found.hexdigest()


def listing(rows: Iterable[Row]) -> str:
    """The table for people, not wider than `WIDTH`."""
    rows = list(rows)
    cells = [
        (
            f"  {row.variant}",
            "unwritten" if row.parameters is None else short(row.parameters),
            "" if row.bytes is None else short(row.bytes),
            "yes" if row.repo else "",
        )
        for row in rows
    ]
    header, *lines = table([HEADER, *cells], right=(1, 2)).splitlines()
    column = max(map(len, (header, *lines))) + 2
    found, model = [f"{header:{column}}goldens"], None
    for row, line in zip(rows, lines, strict=True):
        if row.model != model:
            model = row.model
            found.append(f"{model} on {' '.join(row.meshes)}")
        first, *rest = (text.replace(NO_BREAK, " ") for text in textwrap.wrap(_goldens(row), WIDTH - column))
        found += [f"{line:{column}}{first}", *(" " * column + text for text in rest)]
    return "\n".join([*found, "", LEGEND])


def _goldens(row: Row) -> str:
    if not row.goldens:
        return f"none; shapes, and the code by {row.nearest}" if row.nearest else "none; shapes"
    folder = Path(row.folder) if row.folder else registry.ROOT / row.model / "golden"
    there = {path.stem for path in folder.glob("*.safetensors")}
    return ", ".join(name if name in there else f"{name}{NO_BREAK}(missing)" for name in row.goldens)
