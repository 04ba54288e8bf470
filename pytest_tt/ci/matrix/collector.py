"""The pytest plugin that writes down what was collected; `collecting` loads it into a pytest process of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.files import write_atomically
from pytest_tt.fixtures import FIXTURES
from pytest_tt.items import run_of, systems_of, uses_tt

if TYPE_CHECKING:
    import pytest

OUTPUT = "PYTEST_TT_MATRIX_OUTPUT"
"""Environment variable: the file to write."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write ``[{nodeid, argument, mesh, systems}]``; mesh is null for a test without chips."""
    write_atomically(Path(os.environ[OUTPUT]), json.dumps([_facts(item) for item in session.items]))


def _facts(item: pytest.Item) -> dict[str, Any]:
    tt = uses_tt(item, FIXTURES)
    return {
        "nodeid": item.nodeid,
        "argument": _argument(item),
        "mesh": str(run_of(item).mesh) if tt else None,
        "systems": list(systems_of(item)) if tt else [],
    }


def _argument(item: pytest.Item) -> str:
    """What names the test on a command line in the directory where pytest was started."""
    name, separator, within = item.nodeid.partition("::")
    path = Path(item.config.rootpath, name)
    place = os.path.relpath(path if path.exists() else item.path, item.config.invocation_params.dir)
    return f"{place}{separator}{within}"
