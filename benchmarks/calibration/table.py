"""What was reached, as tables in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.calibration.cases import ELEMENTWISE, MOVEMENT
from benchmarks.calibration.recorded import SIMULATORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.calibration.measured import Measured
    from benchmarks.calibration.recorded import Recorded

_HEAD = (
    "| op | cases | equal to the bit | aim reached | largest difference, ulp | largest ratio |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def kept_out(names: Sequence[str]) -> set[str]:
    """Every fifth case."""
    return set(list(names)[4::5])


def disputed(recorded: Iterable[Recorded]) -> set[tuple[str, str]]:
    """Cases (arch, name) that two simulators computed differently."""
    results: dict[tuple[str, str], list[bytes]] = {}
    for one in recorded:
        results.setdefault((one.arch, one.name), []).append(one.result.tobytes())
    return {key for key, values in results.items() if len(set(values)) > 1}


def per_op(measured: Sequence[Measured]) -> str:
    """A row per op: what its cases reached on both of ttsim's chips."""
    rows = [_HEAD]
    ops = dict.fromkeys((one.case.kind, one.case.op) for one in measured)
    for kind, op in sorted(ops):
        of = [one for one in measured if one.case.op == op and one.case.kind == kind]
        ulp = f"{max(one.ulp for one in of):.3g}" if kind in (ELEMENTWISE, MOVEMENT) else ""
        ratio = "" if ulp else f"{max(one.ratio for one in of):.2f}"
        rows.append(f"| {op} ({kind}) | {len(of)} | {_bits(of)} | {_reached(of)} | {ulp} | {ratio} |")
    return "\n".join(rows)


def per_case(measured: Sequence[Measured]) -> str:
    """A row per case."""
    rows = [
        "| case | simulator | equal elements | ulp | ratio | aim reached |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in measured:
        reached = "yes" if one.reached else "**no**"
        rows.append(f"| {one.name} | {one.simulator} | {one.equal:.1%} | {one.ulp:.3g} | {one.ratio:.2f} | {reached} |")
    return "\n".join(rows)


def groups(measured: Sequence[Measured], apart: set[str], differing: set[tuple[str, str]]) -> str:
    """A row per simulator, then the cases that count apart."""
    rows = ["| cases | number | equal to the bit | aim reached |", "| --- | --- | --- | --- |"]
    for simulator in SIMULATORS:
        rows.append(_row(simulator.replace("_", ", "), [one for one in measured if one.simulator == simulator]))
    ttsim = [one for one in measured if one.simulator.endswith("ttsim")]
    rows.append(_row("ttsim: every fifth case", [one for one in ttsim if one.name in apart]))
    rows.append(_row("ttsim: the others", [one for one in ttsim if one.name not in apart]))
    of = [one for one in ttsim if (one.simulator.partition("_")[0], one.name) in differing]
    rows.append(_row("ttsim: where Wolfpine gives another result", of))
    return "\n".join(rows)


def missed(measured: Sequence[Measured]) -> str:
    """A line per case that did not reach the aim."""
    lines = []
    for one in measured:
        if not one.reached:
            special = f", {one.special} infinite or NaN that should not be, or the reverse" if one.special else ""
            lines.append(
                f"- {one.name} on {one.simulator}: {one.equal:.1%} equal, {one.ulp:.3g} ulp, "
                f"ratio {one.ratio:.2f}{special}"
            )
    return "\n".join(lines)


def _row(title: str, of: Sequence[Measured]) -> str:
    return f"| {title} | {len(of)} | {_bits(of)} | {_reached(of)} |"


def _bits(of: Sequence[Measured]) -> int:
    return sum(one.equal == 1 for one in of)


def _reached(of: Sequence[Measured]) -> int:
    return sum(one.reached for one in of)
