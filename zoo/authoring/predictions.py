"""How near a chip comes to each golden, as predicted by emulation: recorded in a model's folder, shown in its README.

``python -m zoo predict --record`` writes both. Nothing in them was measured on a card.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pytest_tt.compare import compare
from pytest_tt.golden import load
from pytest_tt.targets.mesh import MeshShape
from zoo.emulated import WEIGHTS, EmulatedChips
from zoo.references.decoder import GIVEN, through_the_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from zoo.registry import Model

PLACES = (("p150", "1x1"), ("n300", "1x2"), ("t3k", "1x8"), ("t3k", "2x4"))
"""System and mesh of each column: a chip of either architecture, and the meshes that most boxes have."""

TEXT_MESH = "1x2"
"""That of texts through the cache, a prefill and many steps."""

LEAST_PCC = 0.99
"""The default bound of real chips: what is predicted to be below it is named."""

MARGIN, LEAST_MARGIN = 1.25, 1e-5
"""How much farther from 1 than recorded a PCC may be, times and plus."""

WIDTH = 120
"""Of the text above a table."""

BEGIN, END = "<!-- predicted: python -m zoo predict {model} --record -->", "<!-- end of predicted -->"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A golden case on emulated chips. pcc, rel_l2: of the worst output; None without outputs, `problem` says why."""

    case: str
    system: str
    mesh: str
    weights: str
    """Of `zoo.emulated.WEIGHTS`."""
    pcc: float | None
    rel_l2: float | None
    problem: str | None = None

    def __str__(self) -> str:
        return f"{self.case} on {self.system} {self.mesh}, {self.weights}"


def cases_of(model: Model, mesh: str) -> tuple[str, ...]:
    """The golden cases that are compared on `mesh`, and on `TEXT_MESH` those that go through the cache."""
    return tuple(
        case
        for case, golden in model.goldens.items()
        if mesh in ((TEXT_MESH,) if golden.forward is through_the_cache else model.meshes_of(case))
    )


def predictions(model: Model, cases: Iterable[str], chips: EmulatedChips) -> Iterator[Prediction]:
    """Each case with each kind of weights. ModuleNotFoundError for a case whose weights a package brings."""
    from pytest_tt.emulator.errors import EmulationError
    from pytest_tt.tt_compiler.errors import TTCompileError

    mesh = "x".join(map(str, chips.mesh.devices.shape))
    for case in cases:
        params, golden = model.weights_of(case), load(model.golden_path(case))
        for weights in WEIGHTS:
            where = (case, chips.system, mesh, weights)
            try:
                if model.goldens[case].forward is through_the_cache:
                    tokens = golden.inputs["tokens"]
                    outputs = {"logits": chips.follow(model, case, params, tokens, GIVEN, weights=weights)}
                else:
                    outputs = chips.forward(model, case, params, golden.inputs, weights=weights)
            except (TTCompileError, EmulationError) as error:
                yield Prediction(*where, None, None, " ".join(str(error).split()))
                continue
            # The name of the backend chooses bounds, which are not asked.
            found = compare(model.selected(case, outputs), golden.outputs, backend="hw").metrics()
            pcc, rel_l2 = found["pcc"], found["rel_l2"]
            assert not isinstance(pcc, str)
            assert not isinstance(rel_l2, str)
            yield Prediction(*where, pcc, rel_l2)


def path_of(model: Model) -> Path:
    """The file of the record."""
    return model.files / "predicted.json"


def recorded(model: Model) -> tuple[str, list[Prediction]]:
    """The compiler and the predictions of the record; empty without one."""
    path = path_of(model)
    if not path.is_file():
        return "", []
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["compiler"], [Prediction(**entry) for entry in content["predictions"]]


def with_recorded(model: Model, compiler: str, found: Sequence[Prediction]) -> list[Prediction]:
    """`found`, and what the same compiler gave before of other goldens and places, in the order of both."""
    before, others = recorded(model)
    again = {(one.case, one.system, one.mesh) for one in found}
    kept = [one for one in others if before == compiler and one.case in model.goldens]
    kept = [one for one in kept if (one.case, one.system, one.mesh) not in again]
    order = list(model.goldens)
    return sorted([*found, *kept], key=lambda one: (order.index(one.case), PLACES.index((one.system, one.mesh))))


def farther(model: Model, found: Iterable[Prediction]) -> list[str]:
    """Those of `found` that are farther from their goldens than is recorded, and those without a record, one line each.

    The record is of one compiler and one jax, others round a little otherwise: by `MARGIN`.
    """
    _, before = recorded(model)
    of = {(one.case, one.system, one.mesh, one.weights): one.pcc for one in before}
    lines = []
    for one in found:
        known = of.get((one.case, one.system, one.mesh, one.weights))
        if known is None:
            lines.append(f"{model.name} {one}: not recorded")
        elif one.pcc is None or 1 - one.pcc > MARGIN * (1 - known) + LEAST_MARGIN:
            now = one.problem if one.pcc is None else f"PCC {one.pcc:.6f}"
            lines.append(f"{model.name} {one}: {now}, recorded {known:.6f}")
    return lines


def record_of(compiler: str, found: Iterable[Prediction]) -> str:
    """What the file of the record holds."""
    lines = [json.dumps(asdict(one)) for one in found]
    body = ",\n  ".join(lines)
    return f'{{\n "compiler": {json.dumps(compiler)},\n "predictions": [\n  {body}\n ]\n}}\n'


def text_of(model: Model, compiler: str, found: Sequence[Prediction]) -> str:
    """The table of a README, between its two comments."""
    by_cell: dict[tuple[str, str, str], dict[str, Prediction]] = {}
    for one in found:
        by_cell.setdefault((one.case, one.system, one.mesh), {})[one.weights] = one
    places = [place for place in PLACES if any((one.system, one.mesh) == place for one in found)]
    rows = [
        ("golden", *(f"{system} {mesh}" for system, mesh in places)),
        ("---",) * (len(places) + 1),
        *(
            (f"`{case}`", *(_cell(by_cell.get((case, *place), {})) for place in places))
            for case in dict.fromkeys(one.case for one in found)
        ),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    low = [
        f"`{one.case}` on {one.system} {one.mesh} with {one.weights} weights ({one.pcc:.4f})"
        for one in found
        if one.pcc is not None and one.pcc < LEAST_PCC
    ]
    named = f"Below {LEAST_PCC}: {', '.join(low) or 'none'}."
    what = (
        f"Predicted PCC with the golden, of the worst output, with weights as {' / as '.join(WEIGHTS)}: what "
        f"{compiler} makes of the model, emulated with a chip's numbers; not measured on a card. {named}"
    )
    said = textwrap.fill(what, WIDTH, break_on_hyphens=False, break_long_words=False)
    return f"{BEGIN.format(model=model.name)}\n\n{said}\n\n{table}\n\n{END}"


def _cell(found: dict[str, Prediction]) -> str:
    if not found:
        return "-"
    return " / ".join(_pcc(found[weights]) if weights in found else "-" for weights in WEIGHTS)


def _pcc(one: Prediction) -> str:
    return "none" if one.pcc is None else f"{one.pcc:.6f}"


def replaced(readme: str, table: str) -> str:
    """`readme` with `table` in the place of the one that it has. ValueError if it has none."""
    begin, end = readme.find(BEGIN.split(":")[0]), readme.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"the README has no place for the predictions: put {BEGIN!r} and {END!r} where they belong")
    return readme[:begin] + table + readme[end + len(END) :]


def problems(model: Model) -> list[str]:
    """Where the README or the record contradict each other or the model's goldens, one line each."""
    compiler, found = recorded(model)
    if not found:
        return []
    again = f"python -m zoo predict {model.name} --record"
    readme = (model.files / "README.md").read_text(encoding="utf-8")
    lines = [] if text_of(model, compiler, found) in readme else [f"the README's table is not of the record: {again}"]
    unknown = sorted({one.case for one in found} - set(model.goldens))
    return lines + [f"the record has no golden's case {case}: {again}" for case in unknown]


def widest_first(places: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """In the order in which one process can have them: simulated chips cannot become more once they are in use."""
    return sorted(places, key=lambda place: -MeshShape.parse(place[1]).chips)
