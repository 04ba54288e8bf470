"""``python -m zoo check``: how far a model has come, and what is left to do."""

from __future__ import annotations

import argparse
import traceback
from typing import TYPE_CHECKING

from zoo.authoring.folder import import_model
from zoo.authoring.walk import LEFT, NONE, OK, Left, NotForThisModel, StepResult, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from zoo.registry import Model


def main(arguments: Sequence[str]) -> int:
    """Print a line for each step. 0: all is done; 1: something is left; 2: wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo check",
        description="Check the steps of a new model: parameters, blocks, output, meshes, collectives, goldens, README. "
        "Say for each what is left and how to do it; exit with 1 if something is left.",
    )
    parser.add_argument("model", metavar="MODEL", help="name of a model, or the folder of one")
    asked = parser.parse_args(arguments).model
    try:
        model, folder = import_model(asked)
    except ValueError as error:
        parser.exit(2, f"python -m zoo check: {error}\n")
    except Exception as error:  # whatever a half-written module raises
        print("\n".join(StepResult("registration", LEFT, _told(error), f"fix it: {_place(error)}").lines()))
        return 1
    left = 0
    for result in walk_along(model, folder, asked):
        print("\n".join(result.lines()), flush=True)
        left += result.state == LEFT
    print(f"{model.name}: " + (f"{left} step{'s' * (left != 1)} left" if left else "all is done"))
    return int(left > 0)


def walk_along(model: Model, folder: Path, command: str) -> Iterator[StepResult]:
    """What each step found, as soon as it did."""
    from pytest_tt.targets.mesh import MeshShape
    from zoo.authoring.on_mesh import mesh_of
    from zoo.authoring.steps import STEPS

    walk = Walk(model, folder, command)
    mesh_of(max(model.sharding.meshes, key=lambda mesh: MeshShape.parse(mesh).chips))  # before jax starts on its own
    for name, step in STEPS:
        result = _result(walk, name, step)
        if result.state != LEFT:
            walk.done.add(name)
        yield result


def _result(walk: Walk, name: str, step: Callable[[Walk], str]) -> StepResult:
    try:
        return StepResult(name, OK, step(walk))
    except NotForThisModel as reason:
        return StepResult(name, NONE, str(reason))
    except Left as left:
        return StepResult(name, LEFT, str(left), left.do)
    except Exception as error:  # the model's own code, which is being written
        return StepResult(name, LEFT, _told(error), f"see {walk.where(error)}")


def _place(error: BaseException) -> str:
    """The file and the line that cannot be imported."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    return f"{frames[-1].filename}:{frames[-1].lineno}"


def _told(error: BaseException) -> str:
    text = str(error).strip()
    if isinstance(error, NotImplementedError) and text:
        return text
    lines = text.splitlines()[:8] or [""]
    return "\n".join([f"{type(error).__name__}: {lines[0]}", *lines[1:]])
