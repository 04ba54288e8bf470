"""Execute the constructs as TT's compiler made them, exactly and on simulated chips, and compare with XLA.

python -m benchmarks.emulated_constructs              # all that compile: what differs from the record
python -m benchmarks.emulated_constructs scan cumsum  # only these
python -m benchmarks.emulated_constructs --record     # write down what came of them
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.constructs.groups import CONSTRUCTS, GROUPS
from benchmarks.constructs.record import EMULATED
from benchmarks.emulated import DIFFERS, EQUAL, REFUSED, Emulated, Record, differences


def main() -> int:
    """Exit code 1 if something is not as recorded, 2 if nothing can be compiled."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.emulated_constructs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--record", action="store_true", help="write down what differs from the record")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep compiled programs there")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in CONSTRUCTS]:
        print(
            f"benchmarks.emulated_constructs: {', '.join(unknown)}: not a construct: see docs/reference/constructs.md",
            file=sys.stderr,
        )
        return 2
    from benchmarks.compiling import compiler
    from benchmarks.emulating import results
    from pytest_tt.tt_compiler.build import CompilerMissing

    begin, jax = time.perf_counter(), version("jax")
    try:
        build = compiler()
    except CompilerMissing as error:
        print(error, file=sys.stderr)
        return 2
    found = results((CONSTRUCTS[name].program for name in options.names or CONSTRUCTS), options.store)
    before = Record.read(EMULATED) if EMULATED.exists() else Record(build, jax, {})
    different = differences(found, before.found)
    spent = time.perf_counter() - begin
    print(f"{len(found)} programs, {build}, jax {jax}, {spent:.0f} s; recorded: {before.compiler}, jax {before.jax}")
    print("".join(f"  {line}\n" for line in different) or "  all as recorded\n", end="")
    if options.names:
        for name, one in found.items():
            print(f"{name}: {one}")
    else:
        summarise(found)
    if options.record:
        Record(build, jax, {**before.found, **found} if options.names else found).write(EMULATED)
        return 0
    return int(bool(different))


def summarise(found: dict[str, Emulated]) -> None:
    """A line for each group."""
    width = max(len(group.title) for group in GROUPS)
    for group in GROUPS:
        said = [found[item.name].outcome for item in group.constructs if item.name in found]
        counts = (f"{said.count(outcome):3} {outcome}" for outcome in (EQUAL, DIFFERS, REFUSED))
        print(f"{group.title:{width}} {', '.join(counts)}")


if __name__ == "__main__":
    sys.exit(main())
