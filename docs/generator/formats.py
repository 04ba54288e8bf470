"""The pages about files: results document, golden, status file."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meanings
import ml_dtypes
import numpy as np
from markdown_pieces import code, described, prose, table

from pytest_tt.ci.gate.rules import Rules
from pytest_tt.compare.bounds import default_bounds
from pytest_tt.golden import file as golden_file
from pytest_tt.results.document import SCHEMA
from pytest_tt.results.validation import schema
from pytest_tt.status.file import KEYS as STATUS_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping


def results_document() -> str:
    parts = schema()["$defs"]
    rules = [
        (code(field.name), code("false" if field.default is None else str(field.default).lower()),
         prose(field.metadata["text"]))
        for field in fields(Rules)
    ]  # fmt: skip
    return f"""# Results document

What `--tt-results FILE` writes: `{{"schema": {SCHEMA}, "run": {{…}}, "tests": […]}}`, and `runs` in a merged one.
Within a schema keys may be added, never changed; readers skip keys that they do not know. The same facts are JUnit
properties of each test, with `tt_` before the name.

Its JSON Schema (draft 2020-12) is below, and in the package as `pytest_tt/results/schema.json`. The commands that read
results documents check them by it, and what a run writes fits it.

## `run`

{_properties(parts["run"])}
## `tests[]`

{_properties(parts["row"])}
## `tests[].metrics.CASE`

{_properties(parts["case"])}
## `tests[].card`

{_properties(parts["card"])}
## `tests[].card.programs[]`

{_properties(parts["card_program"])}
## Rules of the gate

What `pytest-tt gate` tolerates, in `[tool.pytest-tt.gate]`; below `.hw`, `.emu` or `.sim` for that backend only.

{table(("Rule", "Default", "Meaning"), rules)}
## JSON Schema

```json
{(files("pytest_tt.results") / "schema.json").read_text("utf-8").rstrip()}
```"""


def _properties(part: Mapping[str, Any]) -> str:
    """A table of the properties of an object of the schema. KeyError for one without a description."""
    rows = [
        (code(name), _value(each) + ("" if name in part["required"] else "; may be absent"), each["description"])
        for name, each in part["properties"].items()
    ]
    return table(("Key", "Value", "Meaning"), rows)


def _value(part: Mapping[str, Any]) -> str:
    """What a part of the schema takes, in words."""
    if "$ref" in part:
        part = schema()["$defs"][part["$ref"].rpartition("/")[2]]
    null = ", or null" if None in part.get("enum", ()) or "null" in part.get("type", ()) else ""
    if "title" in part:
        return part["title"] + null
    if "items" in part:
        return f"list of {_value(part['items'])}{null}"
    if "additionalProperties" in part:
        return f"object of {_value(part['additionalProperties'])}{null}"
    keys = part["properties"]
    return ("object" if len(keys) > 4 else f"object: {', '.join(map(code, keys))}") + null


def golden_format() -> str:
    case = golden_file.Golden(
        None,
        {"x": np.zeros((2, 3), np.float32)},
        {"y": np.ones((2, 4), np.float32)},
        {"model": "mlp", "weights": {"kind": "synthetic", "seed": 0}, "reference": {"implementation": "numpy"}},
    )
    data = golden_file.encode(Path("case.safetensors"), case)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    info = json.loads(header.pop("__metadata__")[golden_file.KEY])
    words = described(info, meanings.GOLDEN, "the golden")
    dtypes = [(code(name), code(dtype)) for name, dtype in (golden_file._NUMPY_TYPES | golden_file._ML_TYPES).items()]
    bounds = [
        (kind, *(_bounds(backend, dtype) for backend in ("sim", "emu", "hw")))
        for kind, dtype in (("float32 and wider", "float32"), ("narrower floats", "bfloat16"), ("integers", "int32"))
    ]
    return f"""# Golden file

`golden/CASE{golden_file.SUFFIX}` next to the test file: a safetensors file with tensors `input/NAME` and
`output/NAME`, optionally `mask/NAME` (which elements of that output count), and one metadata key, `{golden_file.KEY}`,
with sorted JSON. The same golden always gives the same bytes. NaN and Inf are refused. A small one contains:

```json
{_json({**header, golden_file.KEY: info})}
```

(The JSON of `{golden_file.KEY}` is stored as a string below `__metadata__`, as safetensors requires.)

{table(("Key", "Meaning"), [(code(name), text) for name, text in words.items()])}
There may also be `bounds`: `{{"pcc": 0.98, "reason": "…"}}`, or the same below `sim`, `emu` and `hw`; where `emu` has
none, those of `hw` hold for it too.

## Default bounds

{table(("Leaf", "`sim`", "`emu`", "`hw`"), bounds)}
## Dtypes

{table(("In the file", "In NumPy"), dtypes)}"""


def _json(value: object) -> str:
    """JSON with lists of numbers in one line."""
    text = json.dumps(value, indent=1)
    return re.sub(r"\[[\d,\s]+\]", lambda match: " ".join(match[0].split()).replace("[ ", "[").replace(" ]", "]"), text)


def _bounds(backend: str, dtype: str) -> str:
    found = default_bounds(backend, np.dtype(getattr(ml_dtypes, dtype, dtype))).given()
    return ", ".join(f"{name} {'>=' if name == 'pcc' else '<='} {value:g}" for name, value in found.items())


def status_file() -> str:
    words = described(STATUS_KEYS, meanings.STATUS, "the status file")
    return f"""# Status file

`tt_status.toml` in the root directory, or the file of `--tt-status-file`: only `[[status]]` tables. An entry selects
the tests that match all of its selecting keys.

{table(("Key", "Meaning"), [(code(name), text) for name, text in words.items()])}"""
