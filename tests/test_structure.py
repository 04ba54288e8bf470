"""Who imports whom: the rules of CONTRIBUTING.md that no linter knows."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]

# The rooms of the plugin, from the ground up: a file imports from its own room and from those before it.
# Modules at the top of the package are rooms of their own.
PLUGIN = (
    "files", "kept_files", "packages", "text", "discovery", "reporting", "targets", "tt_compiler", "compare",
    "emulator", "golden", "parameters", "marker", "options", "run", "results", "compiler", "params", "session", "items",
    "run_hooks", "fixtures", "isolation", "status", "interrupt", "hookspecs", "standalone", "pytorch", "pytest_tt",
    "kernels", "ci", "cli", "__main__",
)  # fmt: skip
# What the zoo may use of the plugin: what docs/zoos_elsewhere.md shows, and helpers that are no part of a test run.
PUBLIC = (
    "pytest_tt", "pytest_tt.cli.command", "pytest_tt.compare", "pytest_tt.compiler.program", "pytest_tt.discovery",
    "pytest_tt.emulator.errors", "pytest_tt.emulator.numerics", "pytest_tt.emulator.run", "pytest_tt.files",
    "pytest_tt.golden", "pytest_tt.packages", "pytest_tt.targets.compiler_options", "pytest_tt.targets.mesh",
    "pytest_tt.targets.systems", "pytest_tt.text", "pytest_tt.tt_compiler.build", "pytest_tt.tt_compiler.card_program",
    "pytest_tt.tt_compiler.compile", "pytest_tt.tt_compiler.errors", "pytest_tt.tt_compiler.locations",
    "pytest_tt.tt_compiler.lowering", "pytest_tt.tt_compiler.ttnn_module", "pytest_tt.tt_compiler.upstream",
)  # fmt: skip
# The rooms of the zoo: a model uses all but `cli`, `evaluation` and `authoring`'s commands; these find models by the
# registry and know none by name.
ZOO = (
    "checkpoints", "layers", "text", "vision", "references", "registry", "programs", "emulated", "discovery",
    "authoring", "evaluation", "cli",
)  # fmt: skip


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
    """What `module` imports: in functions too, and what only the type checker sees."""
    return set(_below(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def _below(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "a relative import"
            assert child.module is not None
            names = {f"{child.module}.{alias.name}" for alias in child.names} & set(MODULES)
            yield from names or {child.module}


def circle(graph: dict[str, set[str]]) -> str:
    """The first circle of `graph`, empty without one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


def room(module: str) -> str:
    """``pytest_tt.golden.file`` is in ``golden``, ``pytest_tt`` itself in ``pytest_tt``."""
    return module.split(".")[1] if "." in module else module


def upward(modules: Iterable[str], order: tuple[str, ...]) -> list[str]:
    """Imports from a room that comes later in `order`."""
    return [
        f"{module} -> {name}"
        for module in modules
        for name in sorted(imports(module) & set(MODULES))
        if name.split(".")[0] == module.split(".")[0] and order.index(room(name)) > order.index(room(module))
    ]


def test_what_there_is_is_found() -> None:
    assert imports("zoo.__main__") >= {"pytest_tt.cli.command", "zoo.cli.golden"}
    assert "pytest_tt.run" in imports("pytest_tt.compiler.tt_jit"), "for the type checker, too"
    assert len(MODULES) > 200
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == "a -> c -> b -> a"
    assert upward(["pytest_tt.golden.file"], ("golden", "files", "compare")) != []


def test_plugin_imports_downward() -> None:
    modules = [module for module in MODULES if module.split(".")[0] == "pytest_tt"]
    assert {room(module) for module in modules} == set(PLUGIN)
    assert upward(modules, PLUGIN) == []


@pytest.mark.parametrize("package", ["zoo", "benchmarks", "tests"])
def test_the_plugin_imports_nothing_of_the_others(package: str) -> None:
    found = {
        module: sorted(name for name in imports(module) if name.split(".")[0] == package)
        for module in MODULES
        if module.startswith("pytest_tt")
    }
    assert {module: names for module, names in found.items() if names} == {}


def test_the_zoo_uses_public_names() -> None:
    found = [
        f"{module} -> {name}"
        for module in MODULES
        if module.split(".")[0] == "zoo"
        for name in sorted(imports(module))
        if name.split(".")[0] == "pytest_tt" and name not in PUBLIC
    ]
    assert found == []


def test_what_serves_the_models_knows_none() -> None:
    models = {path.parent.name for path in (ROOT / "zoo").glob("*/registration.py")}
    assert len(models) >= 7
    found = [
        f"{module} -> {name}"
        for module in MODULES
        if module.split(".")[0] == "zoo" and room(module) in ZOO
        for name in sorted(imports(module))
        if name.split(".")[0] == "zoo" and room(name) in models
    ]
    assert found == []


def test_private_api_is_in_one_place() -> None:
    """jax's in one module; pytest's nowhere."""
    private = {
        module: sorted(name for name in imports(module) if name.startswith(("jax._src", "_pytest")))
        for module in MODULES
    }
    assert {module for module, names in private.items() if names} == {"pytest_tt.targets.jax_private"}


def test_no_circles() -> None:
    assert circle({module: imports(module) & set(MODULES) for module in MODULES}) == ""


def test_targets_know_their_kind() -> None:
    """No other room asks which kind of target it has: it asks the target."""
    known = ("pytest_tt/targets/", "pytest_tt/options.py", "pytest_tt/results/")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "pytest_tt").rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(known)
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r'"(sim|emu|hw)"', line)
    ]
    assert found == []
