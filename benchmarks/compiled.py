"""What Tenstorrent's compiler makes of the zoo's models and of public JAX models of the same kinds, for one n150.

    python -m benchmarks.compiled --sources DIR

Needs an environment of its own, since the last Flax models of transformers are in 4.57 and the zoo wants 5 or newer:

    pip install "transformers==4.57.*" jax==0.10.2 flax jax-tt-plugin==0.1.3 flatbuffers jaxtyping pillow pytest tqdm

and below DIR checkouts of github.com/jax-ml/bonsai (bonsai), google/flax (flax) and tenstorrent/tt-xla (tt-xla); what
is not there is left out, and said. By shapes alone: nothing is downloaded, initialised or computed. Weights are marked
as such in all of them. Rows are as many as in `zoo compile`. Nothing here was measured on a card.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_tt
from pytest_tt.text import short_bytes, table
from pytest_tt.tt_compiler.build import CompilerMissing, find_build
from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import lower
from pytest_tt.tt_compiler.weights import weights_of
from zoo.cli.compiling import Sizes, chosen_by, rows_of
from zoo.cli.source_lines import moves_of, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.peers import Peer
    from zoo.cli.compiled_row import Row

SYSTEM, MESH = "n150", "1x1"

HEADER = ("program", "of", "ops", "a layer", "moves a layer", "peak DRAM", "at best", "also")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program in the table. `problem`: in place of figures, why there are none."""

    name: str
    source: str
    layers: int = 0
    ops: int = 0
    moves: int = 0
    dram_peak_bytes: int | None = None
    roofline_s: float | None = None
    also: str = ""
    problem: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """As `HEADER`."""
        if self.problem:
            return (self.name, self.source, *"-----", self.problem)
        return (
            self.name, self.source, str(self.ops), f"{self.ops / self.layers:.1f}", f"{self.moves / self.layers:.1f}",
            short_bytes(self.dram_peak_bytes), time_text(self.roofline_s), self.also,
        )  # fmt: skip


def of_peer(peer: Peer, sources: Path) -> Compiled:
    """What becomes of a public model."""
    try:
        function, arguments, weights, layers = peer.make(sources / peer.source)
        lowered = lower(function, arguments, weights=weights_of(arguments, {}, weights))
        made = compile_program(lowered, system=SYSTEM)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        return Compiled(peer.name, peer.source, problem=f"not there: {error}")
    except TTCompileError as error:
        return Compiled(peer.name, peer.source, problem=f"refused: {error.op or error.sentence}")
    lacking = {finding.name for finding in made.upstream}
    hosted = {f"{count} {name} on the host" for name, count in made.host_ops.items()}
    also = "; ".join(sorted(hosted) + ([f"upstream lacks {', '.join(sorted(lacking))}"] if lacking else []))
    moves = sum(moves_of(made.ops).values())
    return Compiled(
        peer.name, peer.source, layers, sum(made.ops.values()), moves, made.dram_peak_bytes, made.roofline_s, also
    )


def of_row(row: Row) -> Compiled:
    """The same of a program of the zoo."""
    name = f"{row.variant}, {row.program}"
    if row.ops is None:
        return Compiled(name, "the zoo", problem="; ".join(row.problems))
    moves = sum((row.moves or {}).values())
    return Compiled(
        name, "the zoo", row.layers or 1, sum(row.ops.values()), moves, row.dram_peak_bytes, row.roofline_s
    )  # fmt: skip


def in_order(rows: Iterable[Row], peers: Iterable[tuple[Peer, Compiled]]) -> list[Compiled]:
    """Each program of the zoo, and below it the public ones that are beside it."""
    beside: dict[str, list[Compiled]] = {}
    for peer, compiled in peers:
        beside.setdefault(peer.beside, []).append(compiled)
    found = []
    for row in rows:
        name = f"{row.model}:{row.variant} {row.program}"
        if name in beside:
            found += [of_row(row), *beside[name]]
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Compile all, print the table. Returns 2 if nothing can be compiled."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compiled", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=Path, required=True, metavar="DIR", help="where the checkouts are")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page of the documentation")
    options = parser.parse_args(words)
    try:
        build = find_build()
    except CompilerMissing as error:
        print(error, file=sys.stderr)
        return 2
    pytest_tt.open_chips(MESH, backend="sim")
    from benchmarks.peers import PEERS, ROWS

    variants = list(dict.fromkeys(peer.beside.partition(" ")[0] for peer in PEERS))
    rows = list(rows_of(chosen_by(variants, MESH), SYSTEM, MESH, Sizes(rows=ROWS)))
    peers = [(peer, of_peer(peer, options.sources)) for peer in PEERS]
    lines = [HEADER, *(compiled.cells for compiled in in_order(rows, peers))]
    if options.markdown:
        lines.insert(1, ("---",) * len(HEADER))
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        print(table(lines, right=(2, 3, 4, 5, 6)))
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "flax", "transformers"))
    print(f"\nby {build.package} {build.version} for {SYSTEM}, {ROWS} rows, weights marked; {versions}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
