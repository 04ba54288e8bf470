"""Reports and warnings of a child, to JSON and back."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from pytest_tt.isolation.channel import Message


def pack_report(config: pytest.Config, report: pytest.TestReport) -> Message:
    """`report` as pytest serializes it."""
    data: Message = config.hook.pytest_report_to_serializable(config=config, report=report)
    return data


def unpack_report(config: pytest.Config, data: Message) -> pytest.TestReport:
    """The report that `data` was made of; JSON has lists where plugins expect tuples."""
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=data)
    report.location = tuple(report.location)  # type: ignore[assignment]
    report.sections = [(name, content) for name, content in report.sections]
    report.user_properties = [(name, value) for name, value in report.user_properties]
    longrepr: Any = report.longrepr
    if isinstance(longrepr, list):  # of a skip: file, line, reason
        report.longrepr = (longrepr[0], longrepr[1], longrepr[2])
    return report


def pack_warning(message: warnings.WarningMessage) -> Message:
    """What pytest shows of a warning."""
    return {
        "text": str(message.message),
        "module": message.category.__module__,
        "category": message.category.__qualname__,
        "filename": message.filename,
        "lineno": message.lineno,
        "line": message.line,
    }


def unpack_warning(data: Message) -> warnings.WarningMessage:
    """The warning that `data` was made of; a UserWarning that names the category if it is not imported here."""
    category: Any = getattr(sys.modules.get(data["module"]), data["category"], None)
    text = data["text"]
    if not (isinstance(category, type) and issubclass(category, Warning)):
        category, text = UserWarning, f"{data['module']}.{data['category']}: {text}"
    return warnings.WarningMessage(text, category, data["filename"], data["lineno"], line=data["line"])
