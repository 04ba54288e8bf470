"""Compile the constructs and compare with the record: see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import benchmarks.constructs as package
from benchmarks.checking import Checked, run
from benchmarks.constructs.groups import CONSTRUCTS, GROUPS
from benchmarks.constructs.record import RECORD
from benchmarks.verdicts import REFUSED


def main() -> int:
    """Exit code 1 if a verdict is not the recorded one, 2 if nothing can be compiled."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.constructs",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--record", action="store_true", help="write down what differs from the record")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep compiled programs there")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in CONSTRUCTS]
    if unknown:
        print(
            f"benchmarks.constructs: {', '.join(unknown)}: not a construct: see docs/reference/constructs.md",
            file=sys.stderr,
        )
        return 2
    chosen = [CONSTRUCTS[name] for name in options.names or CONSTRUCTS]
    programs = [(item.program, item.watched) for item in chosen]
    whole = not options.names
    checked = run(programs, RECORD, store=options.store, record=options.record, whole=whole)
    if checked is None:
        return 2
    if options.names:
        for name, verdict in checked.found.items():
            print(f"{name}: {verdict}")
    else:
        summarise(checked)
    return checked.exit_code


def summarise(checked: Checked) -> None:
    """A line for each group."""
    width = max(len(group.title) for group in GROUPS)
    for group in GROUPS:
        said = [checked.found[item.name] for item in group.constructs]
        refused = sum(verdict.outcome == REFUSED for verdict in said)
        upstream = sum(bool(verdict.upstream) and verdict.outcome != REFUSED for verdict in said)
        print(f"{group.title:{width}} {len(said) - refused:3} taken, {upstream:2} not upstream; {refused:2} refused")


if __name__ == "__main__":
    sys.exit(main())
