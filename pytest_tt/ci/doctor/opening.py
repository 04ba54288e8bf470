"""Opening the chips on request, in a process of its own, because that may hang or abort."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from pytest_tt.ci.doctor.diagnosis import blocks, ok, warning
from pytest_tt.targets import card
from pytest_tt.targets.detection import VISIBLE_VARIABLE
from pytest_tt.targets.lock import ChipLock

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tt.ci.doctor.diagnosis import Diagnosis
    from pytest_tt.targets.detection import DetectedSystem

LIMIT_S = 300.0

_CODE = """
import importlib.util, json
if importlib.util.find_spec("flax") is not None:
    import flax.linen
import jax
from pytest_tt.targets import provider
jax.config.update("jax_platforms", "cpu,tt")
with provider.hidden(provider.find_providers()[1:]):
    chips = jax.devices("tt")
x = jax.device_put(jax.numpy.ones((32, 32)), chips[0])
total = float(jax.numpy.sum(jax.device_get(jax.jit(lambda x: x @ x)(x))))
print("\\n" + json.dumps({"chips": len(chips), "total": total}))
"""
_TOTAL = 32.0**3

# What the output says where opening fails -> what to do. tt-xla#5102, tt-metal#57162, seed of the tutorial's list.
_HINTS = (
    ("undefined symbol", "jax and the wheel do not fit: install the jax that the wheel needs"),
    ("Device count mismatch", "set TT_MESH_GRAPH_DESC_PATH to the mesh graph of this box (tt-xla#5102)"),
    ("Waiting for lock", "another process uses the chips: find it with tt-smi, and end it"),
    ("ugepage", "reserve and mount pages of 1 GiB, see hugepages above"),
    ("irmware", "update the firmware with tt-flash"),
)
_RESET = "reset the chips with tt-smi -r (nobody may be using them), then try again"


def open_chips(root: Path, box: DetectedSystem, limit_s: float = LIMIT_S) -> Diagnosis:
    """Open the chips of `box` as a run would, multiply two matrices on the first, and say how that went."""
    try:
        lock = ChipLock(box, timeout_s=0, root=root, say=lambda line: None)
        lock.acquire()
    except OSError as error:
        return blocks("open", f"not opened: {error}", "a run would wait for them", "wait for that process, or end it")
    try:
        return _open(box, limit_s)
    finally:
        lock.release()


def _open(box: DetectedSystem, limit_s: float) -> Diagnosis:
    start = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", _CODE],
        env=_environment(box),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, errors = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, errors = child.communicate()
        return blocks(
            "open",
            f"{box.description} did not open within {limit_s:g} s",
            _tail(errors) or "the process said nothing",
            _hint(output + errors) or _RESET,
        )
    took = time.monotonic() - start
    if child.returncode != 0:
        died = child.returncode < 0
        how = f"the process was ended by {signal.Signals(-child.returncode).name}" if died else "jax reports an error"
        return blocks(
            "open", f"{box.description} cannot be opened: {how}", _tail(errors), _hint(output + errors) or _RESET
        )
    facts = json.loads(output.strip().splitlines()[-1])
    if facts["total"] != _TOTAL:
        what = f"a product of two matrices on the first chip sums to {facts['total']:g}, not {_TOTAL:g}"
        return blocks("open", what, "the chip, its firmware or the compiler computes wrongly", _RESET)
    if facts["chips"] != box.chips:
        return warning(
            "open",
            f"jax has {facts['chips']} chips, but {box.description} found",
            "tests on meshes that need all of them fail",
            "compare with tt-smi -ls: chips behind others may be down; reset with tt-smi -r",
        )
    return ok("open", f"{facts['chips']} chips opened, and a product of two matrices is right ({took:.1f} s)")


def _environment(box: DetectedSystem) -> dict[str, str]:
    """This process's, with addresses for indices of devices as in a run."""
    before = os.environ.get(VISIBLE_VARIABLE)
    environ = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    if before is not None:
        environ[VISIBLE_VARIABLE] = card.visible_addresses(before, box)
    return environ


def _tail(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _hint(text: str) -> str | None:
    return next((hint for sign, hint in _HINTS if sign in text), None)
