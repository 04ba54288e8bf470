"""Runs a compiled program through real kernels."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.kernels import worker
from pytest_tt.kernels.program import KernelsError, described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.kernels.installation import Installation
    from pytest_tt.tt_compiler.card_program import CardProgram

# tt-metal tt_stl/assert.hpp: where, and what it says.
_FATAL = re.compile(r"TT_(?:FATAL|THROW): (.*)")


def run(
    program: CardProgram,
    inputs: Sequence[np.ndarray],
    installation: Installation,
    *,
    cache: Path,
    limit_s: float,
) -> list[np.ndarray]:
    """What `program`, for one chip, gives for `inputs`, those that it uses; floating ones are float32.

    Raises KernelsError for a program that is not run, one that fails and one that takes more than `limit_s` seconds.
    """
    text = json.dumps(described(program))
    with (
        installation.environment(cache) as environment,
        tempfile.TemporaryDirectory(prefix="pytest-tt-kernels-") as name,
    ):
        room = Path(name)
        (room / "program.json").write_text(text, encoding="utf-8")
        given: dict[str, Any] = {str(number): _plain(array) for number, array in enumerate(inputs)}
        np.savez(room / "inputs.npz", **given)
        command = [str(installation.python), "-P", worker.__file__, str(room)]
        try:
            done = subprocess.run(
                command, env=environment, cwd=room, capture_output=True, text=True, errors="replace", timeout=limit_s
            )
        except subprocess.TimeoutExpired as error:
            raise KernelsError(f"{program.name}: not done after {limit_s:g} s, {_at(error.stdout)}") from None
        outputs = room / "outputs.npz"
        if done.returncode or not outputs.is_file():
            raise KernelsError(f"{program.name}: {_at(done.stdout)}: {_why(done)}")
        with np.load(outputs) as arrays:
            return [arrays[str(number)] for number in range(len(arrays.files))]


def _plain(array: np.ndarray) -> np.ndarray:
    """As ttnn takes it: a bfloat16 is a float32 that needs no rounding."""
    return array.astype(np.float32) if array.dtype.name in ("bfloat16", "float16", "float64") else array


def _at(output: str | bytes | None) -> str:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    places = re.findall(r"^op (.*)$", text, re.MULTILINE)
    return f"at {places[-1]}" if places else "before the first op"


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """What the runtime says, else the last line."""
    found = _FATAL.search(done.stdout + done.stderr)
    lines = done.stderr.strip().splitlines()
    return found[1] if found else lines[-1] if lines else f"exit {done.returncode}"
