"""Who imports whom: the rules of CONTRIBUTING.md that no linter knows."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]


def name_of(path: Path) -> str:
    """``zoo/bert/__init__.py`` is ``zoo.bert``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    name_of(path): path
    for package in ("pytest_tt", "zoo", "benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not path.name.startswith(("test_", "conftest"))
}


def imports(module: str) -> set[str]:
    """What `module` imports, in functions too, but for what only the type checker sees."""
    return set(_below(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def _below(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "a relative import"
            assert child.module is not None
            names = {f"{child.module}.{alias.name}" for alias in child.names} & set(MODULES)
            yield from names or {child.module}
        else:
            yield from _below(child)


def test_what_there_is_is_found() -> None:
    assert imports("zoo.__main__") >= {"pytest_tt.cli.command", "zoo.cli.golden", "zoo.cli.run"}
    assert "zoo.cli.demo" not in imports("zoo.registry"), "only for the type checker"
    assert len(MODULES) > 200


@pytest.mark.parametrize("package", ["zoo", "benchmarks", "tests"])
def test_the_plugin_imports_nothing_of_the_others(package: str) -> None:
    found = {
        module: sorted(name for name in imports(module) if name.split(".")[0] == package)
        for module in MODULES
        if module.startswith("pytest_tt")
    }
    assert {module: names for module, names in found.items() if names} == {}


def test_private_api_is_in_one_place() -> None:
    """jax's in one module; pytest's nowhere."""
    private = {
        module: sorted(name for name in imports(module) if name.startswith(("jax._src", "_pytest")))
        for module in MODULES
    }
    assert {module for module, names in private.items() if names} == {"pytest_tt.targets.jax_private"}


def test_no_circles() -> None:
    graph = {module: imports(module) & set(MODULES) for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
