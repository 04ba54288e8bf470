"""`pytest-tt run`: a script finds what `python SCRIPT` gives it, and chips as jax's default platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_plugins import events

import pytest_tt
from pytest_tt.cli import main
from pytest_tt.cli.run import split
from pytest_tt.options import Setting, read_outside_pytest
from pytest_tt.standalone import SCRIPT_SETTINGS
from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from fake_plugins import Environment

ROOT = Path(pytest_tt.__file__).parents[1]


def start(
    *words: str | Path, python: Path | str = sys.executable, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`python` with `words` in a process of its own, where warnings are errors; the checkout need not be installed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), "-W", "error", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False, timeout=120)


def run(
    *words: str | Path, python: Path | str = sys.executable, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`pytest-tt run` with `words`."""
    return start("-m", "pytest_tt", "run", *words, python=python, cwd=cwd)


@pytest.mark.parametrize(
    ("words", "ours", "program"),
    [
        (["a.py"], [], ["a.py"]),
        (["a.py", "x", "--y", "-z", "--tt-mesh", "1x8"], ["--tt-mesh", "1x8"], ["a.py", "x", "--y", "-z"]),
        (["--tt-mesh", "1x8", "a.py", "--tt-system=t3k", "x"], ["--tt-mesh", "1x8", "--tt-system=t3k"], ["a.py", "x"]),
        (["a.py", "--help", "--version"], [], ["a.py", "--help", "--version"]),
        (["--help", "a.py"], ["--help"], ["a.py"]),
        (["--tt-mesh", "1x2", "--", "a.py", "--tt-mesh", "1x8"], ["--tt-mesh", "1x2"], ["a.py", "--tt-mesh", "1x8"]),
        (["a.py", "x", "--", "--tt-mesh", "1x8"], [], ["a.py", "x", "--", "--tt-mesh", "1x8"]),
        (["-m", "a.b", "-m", "x", "--tt-backend", "sim"], ["--tt-backend", "sim"], ["-m", "a.b", "-m", "x"]),
        (["a.py", "--tt-mesh"], ["--tt-mesh"], ["a.py"]),
        ([], [], []),
    ],
)
def test_whose_word_is_it(words: list[str], ours: list[str], program: list[str]) -> None:
    assert split(words) == (ours, program)


# What a program sees of how it was started; the loader by its class, as it is another object in each process.
SELF = """
import json, sys
import pickle

class Thing:
    pass

pickle.loads(pickle.dumps(Thing()))
spec = __spec__ and [__spec__.name, __spec__.origin]
facts = [sys.argv, sys.path[0], __file__, __name__, spec, __package__, type(__loader__).__name__, sorted(globals())]
print(json.dumps([*facts, sys.modules["__main__"].__dict__ is globals(), __builtins__.__name__, Thing.__module__]))
"""


def test_program_sees_what_python_gives_it(tmp_path: Path) -> None:
    for name in ("shown/self.py", "package/__init__.py", "package/__main__.py", "package/part.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name.endswith("__init__.py") else SELF, encoding="utf-8")
    (tmp_path / "link.py").symlink_to("shown/self.py")
    for words in (["shown/self.py", "a", "-b"], ["link.py"], ["-m", "package", "a"], ["-m", "package.part"]):
        plain = start(*words, cwd=tmp_path)
        ours = run(*words, "--tt-mesh", "1x2", cwd=tmp_path)
        assert (ours.returncode, ours.stderr) == (plain.returncode, plain.stderr) == (0, "")
        assert json.loads(ours.stdout) == json.loads(plain.stdout)


ENDS = """
import sys

def fail():
    raise ValueError("told so")

match sys.argv[1]:
    case "error": fail()
    case "hook":
        sys.excepthook = lambda kind, value, trace: print("own hook", kind.__name__, trace.tb_frame.f_code.co_name)
        fail()
    case "code": sys.exit(7)
    case "text": sys.exit("gave up")
    case "interrupt": raise KeyboardInterrupt
    case "atexit":
        import atexit
        atexit.register(lambda: print("at exit:", sys.modules["__main__"].ENDS))
ENDS = "done"
"""


@pytest.mark.parametrize("way", ["error", "hook", "code", "text", "interrupt", "atexit"])
def test_ends_as_python_ends_it(tmp_path: Path, way: str) -> None:
    (tmp_path / "ends.py").write_text(ENDS, encoding="utf-8")
    plain, ours = start("ends.py", way, cwd=tmp_path), run("ends.py", way, cwd=tmp_path)
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    expected = {"error": 1, "hook": 1, "code": 7, "text": 1, "interrupt": -signal.SIGINT, "atexit": 0}
    assert ours.returncode == expected[way]


def test_what_does_not_compile(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\nif x\n    pass\n", encoding="utf-8")
    plain, ours = start("broken.py", cwd=tmp_path), run("broken.py", cwd=tmp_path)
    assert (ours.returncode, ours.stderr) == (plain.returncode, plain.stderr)
    assert ours.returncode == 1
    assert "SyntaxError: expected ':'" in ours.stderr


CHIPS = """
import os, sys
assert "jax" not in sys.modules
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=3"  # still in time
import jax, jax.numpy as jnp
x = jnp.ones(3)
assert x.devices() == {jax.devices()[0]}
print(jax.default_backend(), len(jax.devices()), len(jax.devices("tt")), len(jax.devices("cpu")), *sys.argv[1:])
"""


def test_chips_are_the_default_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "chips.py"
    script.write_text(CHIPS, encoding="utf-8")
    assert run(script, "x", "--tt-mesh", "2x2", "y").stdout == "tt 4 4 3 x y\n"
    assert run("--tt-system", "galaxy", script).stdout == "tt 32 32 3\n"
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")  # of the shell: the command says more than that
    assert run(script).stdout == "tt 8 8 3\n"


def test_option_then_environment_then_default() -> None:
    found = read_outside_pytest(
        SCRIPT_SETTINGS, Namespace(tt_mesh=MeshShape(1, 2)), {"PYTEST_TT_MESH": "1x8", "PYTEST_TT_SYSTEM": "t3k"}
    )
    assert found == {
        "mesh": Setting(MeshShape(1, 2), "--tt-mesh"),
        "system": Setting("t3k", "PYTEST_TT_SYSTEM"),
        "backend": Setting("auto", "default"),
        "lock_timeout": Setting(600.0, "default"),
    }


def test_what_the_script_says_of_platforms_holds(tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        'import os\nos.environ["JAX_PLATFORMS"] = "cpu"\n'
        "import jax\nprint(jax.default_backend(), jax.device_count())\n",
        encoding="utf-8",
    )
    assert run(script, "--tt-mesh", "1x4").stdout == "cpu 1\n"


def test_script_with_chips_of_its_own(tmp_path: Path) -> None:
    """A script that asks pytest_tt for chips gets those it is run on; a mistake of its own shows as one."""
    script = tmp_path / "own.py"
    script.write_text(
        "import pytest_tt\n"
        'print(pytest_tt.open_chips("1x2").mesh.devices.shape, len(pytest_tt.simulate("t3k").devices), flush=True)\n'
        'pytest_tt.simulate("n300")\n',
        encoding="utf-8",
    )
    done = run(script, "--tt-mesh", "2x4")
    assert (done.returncode, done.stdout) == (1, "(1, 2) 8\n")
    assert done.stderr.startswith(f'Traceback (most recent call last):\n  File "{script}", line 3, in <module>\n')
    assert "ChipsError: jax has started with simulated t3k (8 chips) in this process already" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to run: expected SCRIPT.py or -m MODULE"),
        (["-m"], "nothing to run: expected SCRIPT.py or -m MODULE"),
        (["nowhere.py"], "nowhere.py: cannot be read (No such file or directory): expected a Python file"),
        (["."], ".: cannot be read (Is a directory): expected a Python file"),
        (["-m", "pytest", "x"], "-m pytest: tests get their chips from the plugin: run pytest itself, with --tt-mesh"),
        (["setup.py", "--tt-mesh", "1x8", "--tt-system", "n300"], "mesh 1x8 has 8 chips, here is simulated n300 (2"),
        (["setup.py", "--tt-backend", "hw"], "backend hw: no card found"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.py").write_text("raise AssertionError('was run')\n", encoding="utf-8")
    assert main(["run", *words]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith(f"pytest-tt run: {said}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "there is no module nowhere"),
        ("nowhere.at_all", "No module named 'nowhere'"),
        ("email", "there is no module email.__main__"),
    ],
)
def test_module_that_cannot_be_run_is_one_line(name: str, said: str) -> None:
    done = run("-m", name)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"pytest-tt run: -m {name}: {said}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s.py", "--tt-mesh", "8"], "argument --tt-mesh: '8' is not a mesh: expected ROWSxCOLS"),
        (["s.py", "--tt-system", "t3"], "'t3' is not a system (did you mean t3k?)"),
        (["s.py", "--tt-mehs", "1x8"], "unrecognized arguments: --tt-mehs 1x8"),
        (["--mesh", "s.py"], "unrecognized arguments: --mesh"),
        (["s.py", "--tt-mesh"], "argument --tt-mesh: expected one argument"),
    ],
)
def test_a_bad_option_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_bad_environment_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_TT_MESH", "8")
    done = run(tmp_path / "s.py")
    assert done.returncode == 2
    assert done.stderr.startswith("pytest-tt run: PYTEST_TT_MESH: '8' is not a mesh")


def test_on_a_card(tmp_path: Path, n300: Path, working: Environment) -> None:
    """With fakes: the card's plugin gives the chips, this process holds them, and too few are refused."""
    script = tmp_path / "card.py"
    script.write_text(
        "import json, os\nfrom pathlib import Path\n"
        'held, = Path(os.environ["PYTEST_TT_DEVICE_ROOT"], "tmp").glob("*.lock")\n'
        'mine = json.loads(held.read_text())["pid"] == os.getpid()\n'
        "import jax\n"
        "x = jax.numpy.ones(3)\n"
        'assert x.devices() == {jax.devices("tt")[0]} and jax.devices() == jax.devices("tt")\n'
        'print(mine, len(jax.devices()), len(jax.devices("cpu")))\n',
        encoding="utf-8",
    )
    done = run(script, "--tt-mesh", "1x2", python=working.python)
    assert (done.stdout, done.stderr) == ("True 2 1\n", "")
    assert [event["chips"] for event in events(n300, "open")] == [2]
    for words, said in (
        (["--tt-mesh", "1x8"], "mesh 1x8 has 8 chips, here is n300 (2 chips): take a smaller mesh"),
        (["--tt-system", "t3k"], "system t3k (8 chips) expected, but this machine has n300 (2 chips)"),
    ):
        refused = run(script, *words, python=working.python)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith(f"pytest-tt run: {said}")
    simulated = run(script, "--tt-backend", "sim", python=working.python)
    assert (simulated.stdout, simulated.stderr) == ("False 8 1\n", "")
    assert len(events(n300, "open")) == 1
