"""`pytest-tt doctor`: why tests cannot run on the chips of this machine, and what to do."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from pytest_tt.ci.doctor.finding import Finding

NAME = "doctor"
HELP = "Find out why tests cannot run on the chips of this machine; exit 1 where something blocks them"

_MARKS = {"blocks": "BLOCKS", "warning": "warn", "ok": "ok"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument("--json", action="store_true", help="Print JSON with all findings")
    parser.add_argument("--open", action="store_true", help="Open the chips too, if nothing blocks, and compute on one")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings. Returns 1 where one of them blocks, else 0."""
    from pytest_tt.ci.doctor.examination import examine
    from pytest_tt.ci.doctor.finding import BLOCKS, WARNING
    from pytest_tt.targets.detection import device_root

    findings = examine(device_root(), os.environ, open_them=arguments.open)
    blocking = sum(finding.severity == BLOCKS for finding in findings)
    if arguments.json:
        fields = [
            {"check": each.check, "severity": each.severity, "what": each.what, "why": each.why, "do": each.do}
            for each in findings
        ]
        print(json.dumps({"blocked": blocking > 0, "findings": fields}, indent=2))
        return int(blocking > 0)
    print("\n".join(line for finding in findings for line in _lines(finding)))
    warnings = sum(finding.severity == WARNING for finding in findings)
    if blocking:
        verdict = f"tests cannot run on chips here: {blocking} thing{'s' * (blocking != 1)} to mend"
    else:
        verdict = "tests can run on the chips" + ("" if arguments.open else ", as far as can be seen without --open")
    print(f"{verdict}; {warnings} warning{'s' * (warnings != 1)}")
    return int(blocking > 0)


def _lines(finding: Finding) -> list[str]:
    lines = [f"{_MARKS[finding.severity]:<6}  {finding.check}: {finding.what}"]
    if finding.why:
        lines.append(f"        why: {finding.why}")
    if finding.do:
        lines.append(f"        do:  {finding.do}")
    return lines
