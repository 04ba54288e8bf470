"""How far the compiler's verdict on a program predicts what the card does with it.

    python -m benchmarks.backtest               # compile all cases, print the table, say what differs from the record
    python -m benchmarks.backtest --cases       # with a line for each case
    python -m benchmarks.backtest --record      # write down what this compiler says

Each case is a small program of ours beside an outcome that TT-XLA records of its own tests on hardware
(`benchmarks/recorded_outcomes`). Rows of the table are recorded outcomes; columns are what is predicted without a card.
Exit code 1 if a prediction is not the recorded one, 2 if nothing can be compiled.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.checking import run
from benchmarks.recorded_outcomes.case import CLASSES
from benchmarks.recorded_outcomes.cases import CASES, cases_for
from benchmarks.verdicts import REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.verdicts import Verdict

PREDICTED = Path(__file__).with_name("recorded_outcomes") / "predicted.json"

REFUSES, TOO_LARGE, UPSTREAM, TAKES = "refused", "does not fit", "upstream refuses", "taken"
PREDICTIONS = (REFUSES, TOO_LARGE, UPSTREAM, TAKES)
"""Predictions, in the order of the columns; the first that holds counts."""


def prediction(verdict: Verdict) -> str:
    """What `--tt-compile` would say of the program."""
    if verdict.outcome == REFUSED:
        return REFUSES
    if verdict.fits is False:
        return TOO_LARGE
    return UPSTREAM if verdict.upstream else TAKES


def confusion(verdicts: Mapping[str, Verdict]) -> str:
    """The table: recorded outcomes by what is predicted."""
    counts = Counter((CASES[name].recorded, prediction(verdict)) for name, verdict in verdicts.items())
    width = max(map(len, CLASSES))
    lines = ["  ".join([f"{'recorded on hardware':{width}}", "cases", *PREDICTIONS])]
    for recorded in CLASSES:
        row = [counts[recorded, predicted] for predicted in PREDICTIONS]
        cells = [f"{count or '-':>{len(title)}}" for count, title in zip(row, PREDICTIONS, strict=True)]
        lines.append("  ".join([f"{recorded:{width}}", f"{sum(row):5}", *cells]))
    return "\n".join(lines)


def main() -> int:
    """Compile, compare, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backtest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", action="store_true", help="a line for each case")
    parser.add_argument("--record", action="store_true", help="write down what differs from the record")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep compiled programs there")
    options = parser.parse_args()
    chosen = cases_for(version("jax"))
    if len(chosen) < len(CASES):
        print(f"{len(CASES) - len(chosen)} cases are left out: they need jax 0.7, see recorded_outcomes/cases.py")
    programs = [(case.program, ()) for case in chosen.values()]
    checked = run(programs, PREDICTED, store=options.store, record=options.record)
    if checked is None:
        return 2
    if options.cases:
        for name, verdict in checked.found.items():
            case = CASES[name]
            print(f"{name}: {case.recorded}{f' ({case.reason})' if case.reason else ''}; predicted: {verdict}")
    print(confusion(checked.found))
    return checked.exit_code


if __name__ == "__main__":
    sys.exit(main())
