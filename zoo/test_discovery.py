"""Models of other packages: by entry point and by hook, the errors of those that cannot be used, and their goldens."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_tt.discovery import GROUP, HOOK, ZooError
from pytest_tt.golden import load, save
from zoo import registry
from zoo.__main__ import main
from zoo.authoring import goldens
from zoo.cli import run
from zoo.cli.demo import DemoError
from zoo.preloaded import Preloaded
from zoo.registry import models

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

MODEL = """
import dataclasses
from pathlib import Path

from zoo import registry

def changed(name, of="mlp", **changes):
    return dataclasses.replace(registry.model(of), name=name, **{"folder": Path(__file__).parent, **changes})

def sum_alone(name):
    case = dataclasses.replace(registry.model("mlp").goldens["sum"], meshes=("1x2", "2x4"))
    return changed(name, goldens={"sum": case}, mutants=None, variants={"sum": registry.model("mlp").config("sum")})
"""

ZEBRA = f"{MODEL}\nMODELS = [sum_alone('zebra')]\ndef pytest_tt_zoo_models(): return MODELS\n"


def install(folder: Path, code: str, *, name: str = "zebra-zoo", value: str = "", version: str = "1.2") -> Path:
    """What an installer leaves in `folder`, which is to be on the path; gives the package's own folder."""
    module = name.replace("-", "_")
    package = folder / module
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    about = folder / f"{module}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\nanimals = {value or module}\n")
    return package


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path of this process; what is imported from it is forgotten again."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in ("zebra_zoo", "also_zoo", "b_zoo")]:
        del sys.modules[name]


def test_models_are_found_by_entry_point(site: Path) -> None:
    package = install(site, ZEBRA)
    found = models()
    assert set(found) >= {"zebra", *registry.names()}
    assert "zebra" not in registry.names()
    assert registry.model("zebra").golden_path("sum") == package / "golden" / "sum.safetensors"
    assert goldens.golden_path("zebra", "sum") == package / "golden" / "sum.safetensors"


def test_an_object_may_be_named_too(site: Path) -> None:
    code = f"{MODEL}\nclass Zoo:\n    def {HOOK}(self): return (sum_alone('zebra'),)\nzoo = Zoo()\n"
    install(site, code, value="zebra_zoo:zoo")
    assert "zebra" in models()


ENTRY = r"its entry point 'animals' of pytest_tt_zoo, 'zebra_zoo"
REMEDY = "; fix it, or uninstall it: pip uninstall zebra-zoo"

BROKEN = {
    "import error": ("import nowhere", f"{ENTRY}', cannot be loaded (ModuleNotFoundError: No module named 'nowhere')"),
    "raises on import": ("raise OSError('no\\n disk')", f"{ENTRY}', cannot be loaded (OSError: no disk)"),
    "contradicts itself": (f"{MODEL}\nchanged('ze bra')", f"{ENTRY}', cannot be loaded (ValueError: model 'ze bra': "),
    "no function": ("pytest_tt_zoo_models = []", f"{ENTRY}', is a module without the function pytest_tt_zoo_models()"),
    "function fails": (f"def {HOOK}(): return {{}}['x']", f"{HOOK}() fails with KeyError: 'x'"),
    "generator fails": (f"def {HOOK}():\n    yield 1 / 0", f"{HOOK}() fails with ZeroDivisionError: division by zero"),
    "nothing": (f"def {HOOK}(): pass", f"{HOOK}() returns nothing, expected a list of models"),
    "one model": (
        f"{MODEL}\ndef {HOOK}(): return changed('zebra')",
        f"{HOOK}() returns a Model, expected a list of models",
    ),
    "names": (f"def {HOOK}(): return ['gpt2']", f"{HOOK}() returns a str among its models"),
    "modules": (f"import sys\ndef {HOOK}(): return [type('M', (), {{'name': 'x'}})()]", "gives a M, expected zoo."),
    "no folder": (
        f"{MODEL}\ndef {HOOK}(): return [changed('zebra', folder=None)]",
        "model 'zebra' does not say where its goldens are: give it folder=Path(__file__).parent",
    ),
    "clash": (
        f"{MODEL}\ndef {HOOK}(): return [changed('cnn')]",
        "two models are named 'cnn', of pytest-tt and of zebra-zoo 1.2: rename the one in ",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_packages(site: Path, kind: str) -> None:
    code, expected = BROKEN[kind]
    install(site, code)
    with pytest.raises(ZooError) as stop:
        models()
    text = str(stop.value)
    assert expected in text
    assert "zebra-zoo 1.2: " in text
    assert text.endswith(REMEDY)
    assert "\n" not in text
    # What is asked of ours does not hang on others.
    assert registry.model("mlp").name == "mlp"


def test_entry_point_that_names_nothing(site: Path) -> None:
    install(site, ZEBRA, value="zebra_zoo:nothing")
    with pytest.raises(ZooError, match=r"zebra-zoo 1.2: .*'zebra_zoo:nothing', cannot be loaded \(AttributeError: .*"):
        models()


def test_two_packages_with_one_name(site: Path) -> None:
    install(site, ZEBRA)
    package = install(site, ZEBRA, name="also-zoo", version="3")
    with pytest.raises(ZooError) as stop:
        models()
    # In the order of the packages' names, whatever the order on disk.
    wanted = f"two models are named 'zebra', of also-zoo 3 and of zebra-zoo 1.2: rename the one in {site / 'zebra_zoo'}"
    assert str(stop.value).startswith(wanted)
    assert package.name == "also_zoo"


def test_the_list_and_the_goldens(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "names", lambda: ("mlp",))  # or the table takes long
    package = install(site, ZEBRA)
    assert main(["list"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    place = lines.index("zebra on 1x1 1x2 1x4 1x8 2x4 8x4")
    assert lines[place + 1] == "sum 193 772 sum (missing)"

    stored = registry.model("mlp").golden_path("sum")
    path = package / "golden" / "sum.safetensors"

    def problems() -> list[str]:
        declared = {model: tuple(goldens.cases(model)) for model in goldens.models()}
        return [problem for problem in goldens.problems(declared) if str(site) in problem]

    assert problems() == [f"{path}: missing; record it with: python -m zoo golden zebra"]
    path.parent.mkdir()
    shutil.copy(stored, path)
    assert problems() == []
    shutil.copy(stored, path.with_name("old.safetensors"))
    (problem,) = problems()
    old = package / "golden" / "old.safetensors"
    assert problem == f"{old}: golden of no case; declare it in the registration of zebra, or delete it"


def test_demos_and_mutants(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = f"MODELS = [sum_alone('zebra'), changed('okapi', 'gpt2', goldens={{}})]\ndef {HOOK}(): return MODELS\n"
    package = install(site, f"{MODEL}\n{code}")
    assert run.find("okapi") == (registry.model("okapi"), None)
    with pytest.raises(DemoError, match=r"zebra has no demo; these have one: bert, .*, okapi, "):
        run.find("zebra")

    mutants = "from zoo.authoring.mutants import Mutants\nMUTANTS = Mutants(case='base', by_name={})\n"
    (package / "mutants.py").write_text(mutants)
    of_zebra = "def mutants():\n    from zebra_zoo.mutants import MUTANTS\n    return MUTANTS\n"
    given = f"def {HOOK}(): return [changed('bert2', 'bert', mutants=mutants)]"
    install(site, f"{MODEL}\n{of_zebra}\n{given}", name="b-zoo")
    found = registry.model("bert2").mutants
    assert found is not None
    assert found().case == "base"
    with pytest.raises(SystemExit):
        main(["mutants", "zebra"])
    assert "no mutants of zebra; expected some of bert, bert2, " in capsys.readouterr().err


def test_commands_of_a_broken_package(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "import nowhere")
    for command in ("run", "mutants"):
        for arguments in (["zebra"], ["--help"]):
            with pytest.raises(SystemExit) as stop:
                main([command, *arguments])
            assert stop.value.code == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert re.match(r"python -m zoo \w+: zebra-zoo 1.2: ", line)


def test_a_golden_of_two_models(tmp_path: Path) -> None:
    (tmp_path / "case.safetensors").touch()
    (problem,) = goldens.folder_problems(tmp_path, {"a": ["case"], "b": ["case"]})
    assert problem.endswith("case.safetensors: golden of a and of b; rename a case, or give one a folder")


# Not the plugin: what it does when it is imported is part of a run.
PRELOADED = Preloaded("import pytest, jax.numpy, flax.linen, flax.nnx", registry.ROOT.parent)


@pytest.fixture(scope="module", autouse=True)
def preloaded_ends() -> Iterator[None]:
    yield
    PRELOADED.close()


class Elsewhere(NamedTuple):
    """A directory away from the checkout, and one on the path with packages."""

    here: Path
    site: Path

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the contract tests, as installed, on the models whose name begins with ``z``."""
        paths = [str(self.site), str(registry.ROOT.parent)]
        code = f"import sys, pytest; sys.path[:0] = {paths!r}; sys.exit(pytest.main(sys.argv[1:]))"
        options = ["-p", "pytest_tt", "-p", "no:cacheprovider", "-k", "zebra or zorilla", "-v", *arguments]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # importing others takes longer than a run
        return PRELOADED.run(code, *options, "--pyargs", "zoo.test_contract", folder=self.here, environment=environment)


def record(path: Path, model: str) -> None:
    """The golden of ``mlp`` as that of `model`."""
    golden = load(registry.model("mlp").golden_path("sum"))
    path.parent.mkdir()
    save(path, dataclasses.replace(golden, path=path, info={**golden.info, "model": model}))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    room = Elsewhere(tmp_path / "here", tmp_path / "site")
    room.here.mkdir()
    record(install(room.site, ZEBRA) / "golden" / "sum.safetensors", "zebra")
    return room


def test_the_contract_test_runs_them(elsewhere: Elsewhere) -> None:
    """By entry point and by the hook in a conftest file; with status and results as of our own."""
    (elsewhere.here / "conftest.py").write_text(ZEBRA.replace("'zebra'", "'zorilla'"))
    record(elsewhere.here / "golden" / "sum.safetensors", "zorilla")
    (elsewhere.here / "tt_status.toml").write_text(
        '[[status]]\nmodel = "zebra"\nmesh = "2x4"\noutcome = "skip"\nreason = "too wide"\n'
    )
    done = elsewhere.pytest("--tt-results", "results.json")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("zebra", "zorilla"):
        for test in (f"golden[{name}-sum-1x2]", f"variant_on_every_mesh[{name}-sum]", f"golden_files[{name}]"):
            assert f"test_{test} PASSED" in done.stdout
    assert "test_golden[zebra-sum-2x4] SKIPPED (too wide)" in " ".join(done.stdout.split())
    rows = json.loads((elsewhere.here / "results.json").read_text())["tests"]
    found = {(row["model"], row["variant"], row["mesh"]) for row in rows if "::test_golden[" in row["nodeid"]}
    assert found == {(name, "sum", mesh) for name in ("zebra", "zorilla") for mesh in ("1x2", "2x4")}


def test_their_goldens_are_looked_after(elsewhere: Elsewhere) -> None:
    golden = elsewhere.site / "zebra_zoo" / "golden" / "sum.safetensors"
    golden.rename(golden.with_name("old.safetensors"))
    done = elsewhere.pytest("--tt-mesh", "1x2")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "test_golden[zebra-sum-1x2] FAILED" in done.stdout
    assert "test_golden_files[zebra] FAILED" in done.stdout
    lines = done.stdout.splitlines()
    assert f"{golden}: missing; record it with: python -m zoo golden zebra" in lines
    old = golden.with_name("old.safetensors")
    assert f"{old}: golden of no case; declare it in the registration of zebra, or delete it" in lines


def test_a_hook_that_is_no_use(elsewhere: Elsewhere) -> None:
    """One line, by the status file's check as well."""
    conftest = elsewhere.here / "conftest.py"
    conftest.write_text(f"def {HOOK}(): return [1]")
    status = elsewhere.here / "tt_status.toml"
    status.write_text('[[status]]\nmodel = "zebr"\noutcome = "skip"\nreason = "too wide"\n')
    done = elsewhere.pytest("--collect-only")
    text = f"{conftest}: {HOOK}() returns an int among its models, expected zoo.registry.Model; fix it there"
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert done.stderr.strip().splitlines()[-1] == f"ERROR: {text}"

    conftest.write_text(ZEBRA)
    status.unlink()
    done = elsewhere.pytest("--collect-only")
    text = f"two models are named 'zebra', of zebra-zoo 1.2 and of {conftest}: rename the one in {elsewhere.here}; "
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout + done.stderr
    assert f"\n{text}fix it there\n" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
