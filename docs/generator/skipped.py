"""The page of the JAX models that TT-XLA skips: `skipped.json` has them, the rest is found in the zoo's own records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_pieces import code, table

from pytest_tt.text import short_count
from zoo import registry
from zoo.cli.compiled_record import PATH, PLACES, Record
from zoo.cli.listing import Row, records, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA = Path(__file__).with_name("skipped.json")

FIRST = "n150 1x1"

HAND_MESH = "1x8"
"""All variants are compiled for it by hand, ``python -m zoo compile --system t3k --mesh 1x8``: minutes."""

_HEAD = """# JAX models that TT-XLA skips

transformers 5 has no Flax models any more, and TT-XLA skips the {count} of its JAX tests that were made of them
("{reason}":
`{file}`
of {repository} at commit {commit}). Which of them the zoo has, written for the chip, and what is known of each
without a card:

**{exact} of {count} with the same checkpoint, {others} more of an architecture that the zoo has, {missing} not.**

Nothing on this page was measured on hardware. It is written from the zoo's records, so that a model that is added shows
up by itself.

## Architectures that the zoo has

- **Simulation**: outputs compared with recorded ones of transformers' PyTorch on simulated chips, on the meshes that
  the model claims. A variant without a golden of its own has the code of one with a golden; its placement is tested on
  every mesh.
- **Compile**: device ops of one call of `forward` on n150, by {compiler},
  and where else that record has it ([all its figures](compiled_models.md)). Others compile for t3k 1x8, by
  `python -m zoo compile --system t3k --mesh 1x8`, which CI does not run.
- **Emulation**: the least correlation (PCC) with a golden on emulated chips, with weights in bfloat16 / bfp8.

"""

_MISSING = """
## Architectures that the zoo does not have

Neither simulated, compiled nor emulated here. [Add a model](../add_a_model.md); where PyTorch's code will do, the
module itself can be compiled and emulated: [PyTorch modules](../pytorch.md).

"""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of the zoo, and what is recorded of it.

    ops: device ops of `forward` by ``SYSTEM MESH``, None where the compiler refuses it; empty if nothing is recorded.
    predicted: the least PCC by weights, of its goldens, else of those of the model's tiny variants, see `of_tiny`.
    """

    model: str
    name: str
    parameters: int | None
    meshes: tuple[str, ...]
    goldens: tuple[str, ...]
    nearest: str | None
    ops: Mapping[str, int | None]
    predicted: Mapping[str, float]
    of_tiny: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A skipped test. variant: of the zoo, with the same checkpoint; others: those of the same architecture."""

    key: str
    architecture: str
    checkpoint: str | None
    variant: Variant | None
    others: tuple[Variant, ...]


def cases(data: Mapping[str, Any]) -> Iterator[Case]:
    """Each case of `data`, in its order, with what the zoo has of it."""
    by_type, by_repo = _published()
    for architecture in data["architectures"]:
        others = tuple(by_type.get(architecture["model_type"], ()))
        for key, checkpoint in architecture["cases"].items():
            exact = None if checkpoint is None else by_repo.get(checkpoint.lower())
            yield Case(key, architecture["name"], checkpoint, exact, others)


def _published() -> tuple[dict[str, list[Variant]], dict[str, Variant]]:
    """The published variants of the zoo: by model_type of their config.json, and by repository in small letters."""
    by_type: dict[str, list[Variant]] = {}
    by_repo: dict[str, Variant] = {}
    listing, record = records(), Record.read(PATH)
    for model in registry.names():
        path = registry.ROOT / model / "published.json"
        if not path.is_file():
            continue
        rows = {row.variant: row for row in listing.get(model) or rows_of(registry.model(model))}
        tiny = {case for name, row in rows.items() if name.startswith("tiny") for case in row.goldens}
        for name, about in json.loads(path.read_text(encoding="utf-8"))["variants"].items():
            variant = _variant(model, rows[name], tiny, record)
            by_repo[about["repo"].lower()] = variant
            by_type.setdefault(about["config"]["model_type"], []).append(variant)
    return by_type, by_repo


def _variant(model: str, row: Row, tiny: set[str], record: Record) -> Variant:
    program = f"{model}:{row.variant} forward on "
    ops = {
        f"{system} {mesh}": record.programs[f"{program}{system} {mesh}"].ops
        for system, mesh in PLACES
        if f"{program}{system} {mesh}" in record.programs
    }
    own = _predicted(model, set(row.goldens))
    return Variant(
        model=model, name=row.variant, parameters=row.parameters, meshes=row.meshes,
        goldens=row.goldens, nearest=row.nearest, ops=ops, predicted=own or _predicted(model, tiny),
        of_tiny=not own,
    )  # fmt: skip


def _predicted(model: str, goldens: set[str]) -> dict[str, float]:
    """The least PCC of `goldens` over all that was emulated, by weights; empty if nothing was."""
    path = registry.ROOT / model / "predicted.json"
    made = json.loads(path.read_text(encoding="utf-8"))["predictions"] if path.is_file() else []
    least: dict[str, float] = {}
    for one in made:
        if one["case"] in goldens:
            # What could not be computed is as bad as can be.
            least[one["weights"]] = min(one["pcc"] or 0.0, least.get(one["weights"], 1.0))
    return least


def skipped() -> str:
    """The page."""
    data = json.loads(DATA.read_text(encoding="utf-8"))
    found = list(cases(data))
    known, missing = [case for case in found if case.others], [case for case in found if not case.others]
    exact = sum(case.variant is not None for case in found)
    head = _HEAD.format(
        **{name: data[name] for name in ("reason", "file", "repository")}, commit=data["commit"][:8],
        count=len(found), exact=exact, others=len(known) - exact, missing=len(missing),
        compiler=Record.read(PATH).compiler,
    )  # fmt: skip
    return head + table(
        ("Skipped test", "Checkpoint", "Zoo", "Parameters", "Simulation", "Compile", "Emulation"), map(_known, known)
    ) + _MISSING + _missing(missing)  # fmt: skip


def _known(case: Case) -> tuple[str, ...]:
    start = (code(case.key), case.checkpoint or "")
    if case.variant is None:
        model = case.others[0].model
        return (*start, f"not this one; {code(model)} has {_names(case.others)}", "", "", "", "")
    variant = case.variant
    where = f"{code(variant.model)}: {code(variant.name)}"
    return (
        *start,
        where,
        "" if variant.parameters is None else short_count(variant.parameters),
        _simulated(variant),
        _compiled(variant),
        _emulated(variant),
    )


def _names(variants: tuple[Variant, ...]) -> str:
    return ", ".join(code(variant.name) for variant in variants)


def _simulated(variant: Variant) -> str:
    meshes = f"{variant.meshes[0]} to {variant.meshes[-1]}"
    if variant.goldens:
        return f"golden {', '.join(map(code, variant.goldens))}, {meshes}"
    return f"placement, {meshes}; nearest golden {code(variant.nearest or '')}"


def _compiled(variant: Variant) -> str:
    if not variant.ops:
        return f"t3k {HAND_MESH}" if HAND_MESH in variant.meshes else "not recorded"
    refused = [place for place, ops in variant.ops.items() if ops is None]
    if refused:
        return f"refused on {', '.join(refused)}"
    counts = [f"{ops} ops on {place.removesuffix(' 1x1')}" for place, ops in variant.ops.items() if place == FIRST]
    return "; ".join([*counts, ", ".join(place for place in variant.ops if place != FIRST)])


def _emulated(variant: Variant) -> str:
    if not variant.predicted:
        return "not recorded"
    values = " / ".join(f"{value:.6f}" if value else "not computed" for _, value in sorted(variant.predicted.items()))
    return f"tiny: {values}" if variant.of_tiny else values


def _missing(missing: list[Case]) -> str:
    rows: dict[str, list[Case]] = {}
    for case in missing:
        rows.setdefault(case.architecture, []).append(case)
    return table(
        ("Architecture", "Skipped tests", "Checkpoints"),
        [
            (
                name,
                ", ".join(code(case.key) for case in them),
                ", ".join(case.checkpoint or "none of its own" for case in them),
            )
            for name, them in rows.items()
        ],
    )
