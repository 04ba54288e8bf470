"""`pytest-tt doctor`: why tests cannot run on the chips of this machine, and what to do."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command

if TYPE_CHECKING:
    import argparse

    from pytest_tt.ci.doctor.diagnosis import Diagnosis


_MARKS = {"blocks": "BLOCKS", "warning": "warn", "ok": "ok"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument("--json", action="store_true", help="Print JSON with all findings")
    parser.add_argument("--open", action="store_true", help="Open the chips too, if nothing blocks, and compute on one")


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnoses. Returns 1 where one of them blocks, else 0."""
    from pytest_tt.ci.doctor.diagnosis import BLOCKS, WARNING
    from pytest_tt.ci.doctor.examination import examine
    from pytest_tt.targets.detection import device_root

    diagnoses = examine(device_root(), os.environ, open_them=arguments.open)
    blocking = sum(diagnosis.severity == BLOCKS for diagnosis in diagnoses)
    if arguments.json:
        fields = [
            {"check": each.check, "severity": each.severity, "what": each.what, "why": each.why, "do": each.do}
            for each in diagnoses
        ]
        print(json.dumps({"blocked": blocking > 0, "findings": fields}, indent=2))
        return int(blocking > 0)
    print("\n".join(line for diagnosis in diagnoses for line in _lines(diagnosis)))
    warnings = sum(diagnosis.severity == WARNING for diagnosis in diagnoses)
    if blocking:
        verdict = f"tests cannot run on chips here: {blocking} thing{'s' * (blocking != 1)} to fix"
    else:
        verdict = "tests can run on the chips" + ("" if arguments.open else ", as far as can be seen without --open")
    print(f"{verdict}; {warnings} warning{'s' * (warnings != 1)}")
    return int(blocking > 0)


def _lines(diagnosis: Diagnosis) -> list[str]:
    lines = [f"{_MARKS[diagnosis.severity]:<6}  {diagnosis.check}: {diagnosis.what}"]
    if diagnosis.why:
        lines.append(f"        why: {diagnosis.why}")
    if diagnosis.do:
        lines.append(f"        do:  {diagnosis.do}")
    return lines


COMMAND = Command(
    name="doctor",
    help="Find out why tests cannot run on the chips of this machine; exit 1 where something blocks them",
    arguments=add_arguments,
    run=run,
)
