"""Parameters of the plugin's own fixtures: ``@pytest.mark.parametrize("tt_mesh", [(1, 2), (2, 4)], indirect=True)``.

A mesh given to a fixture that provides chips is the mesh of the test, even if the fixture is overridden. Any other
parameter of one of these fixtures is refused.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHARED_MESH = "tt_shared_mesh"

# Fixtures that take a mesh as their parameter.
TAKE_A_MESH = ("tt_mesh", "tt_device", SHARED_MESH)

# Those that take none, and what to do instead.
TAKE_NONE = {
    "tt_run": "its settings come from the tt marker and the options",
    "tt_jit": "compiler options are given by @pytest.mark.tt(options={...})",
    "tt_compile": 'the system and the mesh are arguments of its call, tt_compile(f, x, system="t3k", mesh="1x8")',
    "tt_golden": "the case is an argument of its call, tt_golden(outputs, case)",
    "cpu_init_params": "its inputs are arguments of its call, cpu_init_params(module, x, rng=1)",
}

_FORM = (
    'expected "1x2" or (1, 2), as in @pytest.mark.parametrize("tt_mesh", [(1, 2), (2, 4)], indirect=True); '
    'or write the marker, @pytest.mark.tt(mesh=["1x2", "2x4"])'
)


def mesh_id(name: str, value: object) -> str | None:
    """The id of `value` as a parameter of the fixture `name`: ``1x2``; None to leave it to pytest."""
    if name not in TAKE_A_MESH:
        return None
    try:
        return str(MeshShape.of(value))
    except ValueError:
        return None


def mesh_by_parameter(item: pytest.Item) -> MeshShape | None:
    """The mesh that the parameters of `item` give it; None if they give none.

    Raises pytest.UsageError for a parameter that one of our fixtures cannot take, and for two different meshes.
    """
    found: dict[str, MeshShape] = {}
    for name, value in parameters(item).items():
        problem = _problem(name, value)
        if problem is None and name in TAKE_A_MESH:
            found[name] = MeshShape.of(value)
        elif problem is not None and _indirect(item, name) and not _overridden(item, name):
            raise pytest.UsageError(f"{item.nodeid}: {problem}")
    if len(set(found.values())) > 1:
        shown = ", ".join(f"{name} {mesh}" for name, mesh in found.items())
        raise pytest.UsageError(f"{item.nodeid}: the parameters give it different meshes ({shown}): give one")
    return next(iter(found.values()), None)


def check_request(request: pytest.FixtureRequest) -> None:
    """Fail the test if the fixture that is being set up has a bad parameter that collection could not see."""
    __tracebackhide__ = True
    name = request.fixturename
    if name is None or not hasattr(request, "param") or _overridden(request.node, name):
        return
    problem = _problem(name, request.param)
    if problem is not None:
        pytest.fail(problem, pytrace=False)


def parameters(item: pytest.Item) -> Mapping[str, Any]:
    """Every parameter of `item` by name; empty for one that is not parametrized."""
    callspec = getattr(item, "callspec", None)
    return {} if callspec is None else callspec.params


def parametrized(node: pytest.Item, names: Iterable[str]) -> set[str]:
    """Those of `names` that marks of `node` parametrize."""
    return {name for name in names if _indirect(node, name) is not None}


def on_other_meshes(items: Iterable[pytest.Item], wanted: MeshShape) -> list[pytest.Item]:
    """The items on other meshes, of the tests whose parameters list `wanted` among their meshes."""
    meshes: dict[tuple[pytest.Collector | None, str], dict[pytest.Item, MeshShape]] = {}
    for item in items:
        mesh = mesh_by_parameter(item)
        if mesh is not None:
            meshes.setdefault((item.parent, getattr(item, "originalname", item.name)), {})[item] = mesh
    return [
        item for group in meshes.values() if wanted in group.values() for item, mesh in group.items() if mesh != wanted
    ]


def _problem(name: str, value: object) -> str | None:
    """Why the fixture `name` cannot take the parameter `value`; None if it can, or is not ours."""
    if name in TAKE_NONE:
        return f"{name} takes no parameter, got {value!r}: {TAKE_NONE[name]}"
    if name not in TAKE_A_MESH:
        return None
    try:
        MeshShape.of(value)
    except ValueError as error:
        reason, separator, hint = str(error).partition(" is not a mesh: ")
        if separator:
            chip = "; for another chip than the first use tt_mesh.devices.flat[i]" if name == "tt_device" else ""
            hint = f"{_FORM}{chip}"
        return f"parameter of {name}: {reason}{separator}{hint}"
    return None


def _indirect(node: pytest.Item, name: str) -> bool | None:
    """Whether a mark parametrizes the fixture `name` (True), or hands its values to the test; None without a mark."""
    for mark in node.iter_markers("parametrize"):
        arguments = dict(zip(("argnames", "argvalues", "indirect"), mark.args, strict=False)) | dict(mark.kwargs)
        listed = arguments.get("argnames", ())
        if name in ([each.strip() for each in listed.split(",")] if isinstance(listed, str) else listed):
            indirect = arguments.get("indirect", False)
            return bool(indirect) if isinstance(indirect, bool) else name in indirect
    return None


def _overridden(node: pytest.Item, name: str) -> bool:
    """Whether a class, module, conftest or other plugin overrides our fixture `name`: the parameter is for that one.

    A fixture that has the name by ``name=`` only is not seen.
    """
    ours = (None, getattr(sys.modules["pytest_tt"], name, None))
    places = (getattr(node, "cls", None), getattr(node, "module", None), *node.config.pluginmanager.get_plugins())
    return any(getattr(place, name, None) not in ours for place in places)
