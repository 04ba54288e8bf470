"""The page of the models' compiled programs, from the record ``zoo/compiled.json`` and from recorded predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markdown_pieces import code, table

from pytest_tt.text import short_bytes
from zoo import registry
from zoo.authoring import predictions
from zoo.cli.compiled_record import PATH, Figures, Record
from zoo.cli.source_lines import time_text
from zoo.emulated import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """# Compiled models: ops, memory, bounds

What TT's compiler makes of the zoo's models: {compiler}, jax {jax}, `optimization_level` 0, {rows} rows of {length}
tokens, decode with twice as many slots in the cache, weights marked as parameters. Nothing here was measured on
hardware; [what the figures mean](../compiled_programs.md), [what was changed, and what the compiler makes
impossible](../models_on_the_chip.md). `python -m zoo compile --check` compares in CI, `--record` writes the figures.

## Aims

Device ops of one call on n150 over the layers, or over the bottleneck blocks: all ops but deallocations and what is
computed once from the weights. "Before, not marked" is with weights that are not marked, which each call converts; "old
Flax", the model of the same size in transformers 4.57, is compiled so, too.

"""

_MEMORY = """
The same programs: what they keep and move on the one chip. "Over the arguments" is the peak over the bytes of weights,
cache and inputs as they are given.

"""

_ALL = """
## All recorded programs

"On the links": bytes that a chip receives of others, for each token (decode: of each row) or image. "Moved": bytes that
the ops of a call read and write in DRAM.

"""

_STEP = """
## A step of Qwen2.5-7B on n300

Bytes of one chip for one step of decoding on 1x2, bfloat16, {rows} rows, a cache of {slots} slots. A step reads each
weight once, whatever the number of rows. "At most" is 1 over the bound: a token for each user in every step.
Tenstorrent publishes {published} tokens/s/user for this model on n300, written by hand, with weights of 8 bits in its
MLPs (tt-metal `models/tt_transformers/PERF.md` at commit 040a27c1); that is measured, the bound is what no run of the
compiled program can exceed.

"""

_PREDICTED = """
## Predicted accuracy

The lowest correlation (PCC) of any output with its golden, on emulated chips: [how that is done](../emulation.md),
[how near it comes](../calibration.md). Aims: 0.999 with weights in bfloat16, 0.99 in bfp8;
[what keeps some below](../models_on_the_chip.md#where-bfloat16-costs-digits). `text` is a prefill and twelve steps
through the cache. `ZOO_SLOW=1 python -m zoo predict --record` writes the figures, `--check` compares with them.

"""


class Aim(NamedTuple):
    """An aim of ops a layer: for which program, what it is called, and what was there before.

    old_flax, unmarked: ops a layer with weights that are not marked. before: with marked ones, on 28 November 2026.
    """

    program: str
    title: str
    old_flax: int | None
    unmarked: int
    before: Figures
    aim: int


AIMS = (
    Aim(
        "gpt2:gpt2 forward", "GPT-2 base, forward", 82, 54,
        Figures(ops=458, ops_per_layer=38.2, reshapes=128, permutes=48, layout_moves=4, moved_bytes=4309307392,
                roofline_s=0.01496, dram_peak_bytes=883144704, peak_over_arguments=1.773), 20,
    ),
    Aim(
        "gpt2:gpt2 decode", "GPT-2 base, decode", None, 59,
        Figures(ops=425, ops_per_layer=35.4, reshapes=106, layout_moves=28, moved_bytes=1871315136,
                roofline_s=0.006498, dram_peak_bytes=988902144, peak_over_arguments=1.524), 22,
    ),
    Aim(
        "gpt2:gpt2 decode-bfloat16", "the same, parameters in bfloat16", None, 59,
        Figures(ops=425, ops_per_layer=35.4, reshapes=106, layout_moves=28, moved_bytes=1871315136,
                roofline_s=0.006498, dram_peak_bytes=988902144, peak_over_arguments=1.524), 22,
    ),
    Aim(
        "bert:bert-base-uncased forward", "BERT-base, forward", 158, 104,
        Figures(ops=893, ops_per_layer=74.4, reshapes=134, permutes=48, layout_moves=6, typecasts=1,
                moved_bytes=15230636032, roofline_s=0.05288, dram_peak_bytes=683366400, peak_over_arguments=1.552), 20,
    ),
    Aim(
        "resnet:resnet-50 forward", "ResNet-50, forward", 73, 61,
        Figures(ops=397, ops_per_layer=24.8, reshapes=108, layout_moves=20, typecasts=1, moved_bytes=7158587392,
                roofline_s=0.02502, dram_peak_bytes=1174208640, peak_over_arguments=10.948), 16,
    ),
    Aim(
        "qwen2_5:qwen2.5-7b decode", "Qwen2.5-7B, decode", None, 87,
        Figures(ops=1757, ops_per_layer=62.8, reshapes=410, layout_moves=63, typecasts=225, moved_bytes=23448943040,
                roofline_s=0.08142, dram_peak_bytes=15579618048, peak_over_arguments=1.015), 25,
    ),
    Aim(
        "qwen2_5:qwen2.5-7b prefill", "Qwen2.5-7B, prefill of 128", None, 82,
        Figures(ops=1868, ops_per_layer=66.7, reshapes=454, permutes=168, layout_moves=3, typecasts=197,
                moved_bytes=59236763680, roofline_s=0.3364, dram_peak_bytes=15606602112, peak_over_arguments=1.025), 25,
    ),
)  # fmt: skip
"""The aims of the rewrite for the chip, in the order of its table."""

PLACE = "n150 1x1"

STEP = "qwen2_5:qwen2.5-7b decode on n300 1x2"
STEP_BEFORE = Figures(
    ops=1882, moved_bytes=13073189408, link_bytes=1114112.0, roofline_s=0.04539, dram_peak_bytes=7806376704,
)  # fmt: skip
PUBLISHED = 24.6
"""Tokens/s/user."""


def compiled() -> str:
    """The page."""
    record = Record.read(PATH)
    head = _HEAD.format(compiler=record.compiler, jax=record.jax, rows=record.rows, length=record.length)
    step = _STEP.format(rows=record.rows, slots=2 * record.length, published=PUBLISHED)
    parts = [head, _aims(record), _MEMORY, _memory(record), step, _step(record), _PREDICTED, _predicted()]
    return "".join([*parts, _ALL, _all(record)])


def _now(record: Record, aim: Aim) -> Figures:
    return record.programs[f"{aim.program} on {PLACE}"]


def _aims(record: Record) -> str:
    rows = []
    for aim in AIMS:
        now = _now(record, aim)
        a_layer = now.ops_per_layer or 0.0
        reached = f"**{a_layer}**" if a_layer <= aim.aim else f"{a_layer}"
        rows.append(
            (
                aim.title, "" if aim.old_flax is None else str(aim.old_flax), str(aim.unmarked),
                str(aim.before.ops_per_layer), reached, str(aim.aim), f"{aim.before.ops} → {now.ops}",
                f"{_moves(aim.before)} → {_moves(now)}", f"{aim.before.typecasts} → {now.typecasts}",
            )
        )  # fmt: skip
    head = (
        "Program", "Old Flax", "Before, not marked", "Before", "Now", "Aim", "Ops in all",
        "Reshapes, permutes, layout moves", "Typecasts",
    )  # fmt: skip
    hosted = sum(figures.host_ops for figures in record.programs.values())
    return table(head, rows) + f"\nOps on the host, in all programs of the record: {hosted}. Bold: the aim is met.\n"


def _moves(figures: Figures) -> int:
    return figures.reshapes + figures.permutes + figures.layout_moves


def _memory(record: Record) -> str:
    rows = []
    for aim in AIMS:
        before, now = aim.before, _now(record, aim)
        rows.append(
            (
                aim.title,
                f"{short_bytes(before.dram_peak_bytes)} → {short_bytes(now.dram_peak_bytes)}",
                f"{before.peak_over_arguments} → {now.peak_over_arguments}",
                f"{short_bytes(before.moved_bytes)} → {short_bytes(now.moved_bytes)}",
                f"{time_text(before.roofline_s)} → {time_text(now.roofline_s)}",
            )
        )
    return table(("Program", "Peak DRAM", "Over the arguments", "Moved in a call", "At best"), rows)


def _step(record: Record) -> str:
    rows = []
    for name, figures in (("before", STEP_BEFORE), ("now", record.programs[STEP])):
        moved, bound = figures.moved_bytes or 0, figures.roofline_s or 0.0
        rows.append(
            (
                name, str(figures.ops), short_bytes(figures.dram_peak_bytes), short_bytes(moved),
                short_bytes(moved // record.rows), short_bytes(round(figures.link_bytes)), time_text(bound),
                f"at most {1 / bound:.1f} tokens/s/user",
            )
        )  # fmt: skip
    head = (
        "",
        "Ops",
        "Peak DRAM",
        "Moved in a step",
        "Moved for a token",
        "On the links for a token",
        "At best",
        "As a rate",
    )
    return table(head, rows)


def _predicted() -> str:
    rows: list[tuple[str, ...]] = []
    of_tokens: list[str] = []
    without: list[str] = []
    for name, model in registry.models().items():
        _, found = predictions.recorded(model)
        missing: list[str] = []
        for case, golden in model.goldens.items():
            of_case = [one for one in found if one.case == case]
            if of_case:
                pccs = (_pcc([one.pcc for one in of_case if one.weights == weights]) for weights in WEIGHTS)
                places = dict.fromkeys(f"{one.system} {one.mesh}" for one in of_case)
                rows.append((code(name), code(case), *pccs, ", ".join(places)))
            elif golden.meshes == () and golden.forward is None:
                of_tokens.append(f"{name} {code(case)}")
            else:
                missing.append(code(case))
        if missing:
            without.append(f"{name} {', '.join(missing)}")
    parts = [
        table(("Model", "Golden", "Weights in bfloat16", "Weights in bfp8", "On"), rows),
        f"\nGoldens of generated tokens and of prepared images have no correlation: {', '.join(of_tokens)}.\n",
        f"\nWithout a prediction so far: {'; '.join(without)}.\n" if without else "",
    ]
    return "".join(parts)


def _pcc(values: Sequence[float | None]) -> str:
    computed = [value for value in values if value is not None]
    return f"{min(computed):.6f}" if values and len(computed) == len(values) else "not computed"


def _all(record: Record) -> str:
    rows = []
    for name, figures in record.programs.items():
        program, _, place = name.partition(" on ")
        rows.append(
            (
                code(program), place, str(figures.ops), _figure(figures.ops_per_layer), str(figures.reshapes),
                str(figures.permutes), str(figures.layout_moves), str(figures.typecasts), str(figures.host_ops),
                str(figures.collectives), f"{figures.link_bytes:,.0f}", short_bytes(figures.moved_bytes),
                time_text(figures.roofline_s), short_bytes(figures.dram_peak_bytes),
                _figure(figures.peak_over_arguments),
            )
        )  # fmt: skip
    head = (
        "Program", "On", "Ops", "A layer", "Reshapes", "Permutes", "Layout moves", "Typecasts", "On the host",
        "Collectives", "On the links", "Moved", "At best", "Peak DRAM", "Over the arguments",
    )  # fmt: skip
    return table(head, rows)


def _figure(value: float | None) -> str:
    return "" if value is None else str(value)
