"""``python -m zoo run distilbert``: what stands behind a [MASK]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.cli.demo import Demo
from zoo.distilbert.model import BASE
from zoo.text import fill_mask

if TYPE_CHECKING:
    import argparse

    from zoo.cli.demo import Shown, Stage


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and fill in the sentences."""
    sentences = tuple(options.sentences) or fill_mask.SENTENCES
    return fill_mask.fill_in(stage, stage.config, fill_mask.tokenizer_of(stage), sentences, options.top)


DEMO = Demo(
    summary=f"DistilBERT: words for each {fill_mask.MASK} of sentences.",
    variant=BASE.name,
    arguments=fill_mask.arguments,
    run=run,
)
