"""Prints the calibration tables: see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import benchmarks.calibration as package
from benchmarks.calibration import table
from benchmarks.calibration.measured import measure
from benchmarks.calibration.recorded import read

_PAGE = Path(__file__).parents[2] / "docs" / "calibration.md"
_START, _END = "<!-- calibration: begin -->", "<!-- calibration: end -->"


def main() -> int:
    """Exit code 2 for a case that is not recorded."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--cases", action="store_true", help="a row per case")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {_PAGE.name}")
    options = parser.parse_args()
    import jax

    jax.config.update("jax_platforms", "cpu")  # TT's plugin, where it is installed, would look for a card
    recorded = read()
    known = list(dict.fromkeys(one.name for one in recorded))
    if unknown := [name for name in options.names if name not in known]:
        print(f"benchmarks.calibration: {', '.join(unknown)}: not recorded: see index.json", file=sys.stderr)
        return 2
    measured = [measure(one) for one in recorded if not options.names or one.name in options.names]
    if options.cases or options.names:
        print(table.per_case(measured))
        return 0
    ttsim = [one for one in measured if one.simulator.endswith("ttsim")]
    text = "\n\n".join(
        [
            table.groups(measured, table.kept_out(known), table.disputed(recorded)),
            table.per_op(ttsim),
            "Not reached:",
            table.missed(measured),
        ]
    )
    print(text)
    if options.write:
        page = _PAGE.read_text()
        before, _, rest = page.partition(_START)
        _PAGE.write_text(f"{before}{_START}\n\n{text}\n\n{_END}{rest.partition(_END)[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
