"""The command ``python -m zoo run``: which model, which chips, which checkpoint; then the model's own demo."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Parser, UnusableError
from pytest_tt.targets import mesh as meshes
from pytest_tt.text import short_count, table
from zoo import registry
from zoo.checkpoints.tensor_files import CheckpointError
from zoo.cli.demo import DemoError
from zoo.cli.stage import ModelStage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.cli.demo import Shown
    from zoo.registry import Model

PROG = "python -m zoo run"


def run(words: Sequence[str]) -> int:
    """Run the demo that `words` ask for and print what it gives. Returns 0. Raises UnusableError and ZooError."""
    name, *rest = words or ("--help",)
    parser = Parser(prog=f"{PROG} {name}")
    try:
        if name in ("-h", "--help"):
            print(overview())
            return 0
        if name.startswith("-"):
            raise DemoError(f"name the model before {name}, e.g. {PROG} gpt2 --mesh 1x2")
        model, named = find(name)
        assert model.demo is not None
        demo = model.demo()
        parser.description = demo.summary
        add_common(parser, model)
        demo.arguments(parser)
        options = parser.parse_args(rest)
        claimed = model.sharding.meshes
        if str(options.mesh) not in claimed:
            raise DemoError(
                f"mesh {options.mesh} is not one that {model.name} claims: expected one of {', '.join(claimed)}"
            )
        stage = ModelStage(
            model, demo, named=named, shape=options.mesh, backend=options.backend, checkpoint=options.checkpoint
        )
        shown = demo.run(stage, options)
    except (DemoError, CheckpointError) as error:
        raise UnusableError(error) from None
    print(f"{shown.text}\n\n{speed(stage, shown)}")
    return 0


def find(name: str) -> tuple[Model, str | None]:
    """The model called `name`, or the model and its variant of that name. DemoError if there is none with a demo.

    ZooError where a package with models of its own cannot be used.
    """
    models = registry.models()
    if name in models:
        model = models[name]
        if model.demo is None:
            raise DemoError(f"{name} has no demo; these have one: {', '.join(with_demo())}")
        return model, None
    found = [model for model in models.values() if name in model.variants]
    if not found:
        raise DemoError(f"no such model or variant: {name}; expected one of {'; '.join(_known())}")
    if all(model.demo is None for model in found):
        raise DemoError(f"{found[0].name} has no demo; these have one: {', '.join(with_demo())}")
    if len(found) > 1:
        raise DemoError(
            f"{name} is a variant of {' and '.join(model.name for model in found)}: name the model, and give the "
            "checkpoint with --checkpoint"
        )
    return found[0], name


def with_demo() -> dict[str, Model]:
    """The models that have a demo, by name."""
    return {name: model for name, model in registry.models().items() if model.demo is not None}


def _known() -> list[str]:
    """Each model with a demo, and its variants that are for others than tests."""
    return [
        f"{name} ({', '.join(variant for variant in model.variants if not variant.startswith('tiny'))})"
        for name, model in with_demo().items()
    ]


def overview() -> str:
    """The help of the command before a model is named."""
    lines = [f"usage: {PROG} MODEL [options]", "", "Run a model with its published weights on the chips.", ""]
    for name, model in with_demo().items():
        assert model.demo is not None
        lines.append(f"  {name.ljust(10)} {model.demo().summary}")
    lines += ["", "MODEL is one of these, or a variant:", *(f"  {line}" for line in _known())]
    return "\n".join([*lines, "", f"{PROG} MODEL --help says what it takes."])


def add_common(parser: argparse.ArgumentParser, model: Model) -> None:
    """Options that every demo has."""
    group = parser.add_argument_group("where it runs, and on what weights")
    group.add_argument(
        "--mesh",
        type=_mesh,
        default="1x1",
        metavar="ROWSxCOLS",
        help=f"mesh of chips: {', '.join(model.sharding.meshes)} (default: 1x1)",
    )
    group.add_argument(
        "--backend",
        choices=("auto", "sim", "hw"),
        default="auto",
        help="simulated chips (sim) or Tenstorrent chips (hw); auto takes hw if chips are found and a plugin for "
        "them, such as pjrt-plugin-tt, is installed (default: auto)",
    )
    group.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="directory in the Hugging Face layout (default: the published weights, by the hub's cache)",
    )


def _mesh(text: str) -> meshes.MeshShape:
    try:
        return meshes.MeshShape.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def speed(stage: ModelStage, shown: Shown) -> str:
    """The table of what it ran on and how fast."""
    target = stage.chips.target
    simulated = target.adjective != ""  # or emulated, which is on the same CPU
    chips = f"{stage.shape.chips} simulated chip{'s' * (stage.shape.chips > 1)}" if simulated else target.description
    caveat = " (of chips simulated on this machine's CPU: not what real ones do)" if simulated else ""
    rows = {
        "model": f"{stage.model.name}, {stage.variant}",
        "weights": str(stage.directory),
        "chips": f"mesh {stage.shape}, {chips} ({target.why})",
        "parameters": f"{short_count(stage.bytes_per_chip).strip()}B per chip",
        **({"rounded": stage.rounded} if stage.rounded else {}),
        "load": f"{stage.load_s:.2f} s",
        "compile": f"{shown.compile_s:.2f} s",
        "run": f"{shown.run_s * 1e3:,.1f} ms (median; {shown.run_of})",
        **shown.notes,
        "speed": f"{shown.rate:,.1f} {shown.unit}/s{caveat}",
    }
    return table([(name, text) for name, text in rows.items()])
