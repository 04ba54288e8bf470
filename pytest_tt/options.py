"""Settings of a run: each from the command line, the environment, the ini file or its default, in that order."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

from pytest_tt.targets.choice import AUTO, KINDS, check_name
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.text import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

T = TypeVar("T")

# What to do about ops that this build of TT's compiler takes and Tenstorrent's own does not.
UPSTREAM = ("fail", "warn", "off")

# Variables that are not for users: our tests and commands set them.
_NO_SETTINGS = ("PYTEST_TT_DEVICE_ROOT", "PYTEST_TT_MATRIX_OUTPUT")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A value and where it came from: ``--tt-mesh``, ``PYTEST_TT_MESH``, ``ini tt_mesh`` or ``default``."""

    value: T
    source: str

    @property
    def given(self) -> bool:
        """Whether the user set it."""
        return self.source != "default"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one pytest run."""

    mesh: Setting[MeshShape]
    backend: Setting[str]
    system: Setting[str | None]
    require: Setting[bool]
    compiler_option: Setting[tuple[tuple[str, str], ...]]
    artifacts: Setting[str | None]
    results: Setting[str | None]
    golden_update: Setting[bool]
    compile_cache: Setting[str | None]
    lock_timeout: Setting[float]
    isolate: Setting[bool | None]
    timeout: Setting[float | None]
    reset: Setting[bool]
    status_file: Setting[str | None]
    compile: Setting[tuple[str, ...]]
    """Systems for which TT's compiler compiles too; ``("auto",)``: for each mesh the smallest that has its chips."""
    compile_upstream: Setting[str]
    mock: Setting[bool]
    """Whether what is compiled also runs once on a mock device."""
    explain: Setting[bool]
    """Whether the ops that cost most accuracy are listed."""

    @property
    def wanted(self) -> bool:
        """Whether the user asked for chips, by an option, the environment or the ini file."""
        return self.mesh.given or self.backend.given or self.system.given


def _mesh(text: str) -> MeshShape:
    return MeshShape.parse(text)


def _backend(text: str) -> str:
    return check_name(text)


def _system(text: str) -> str:
    from pytest_tt.targets.systems import get_system

    return get_system(text).name


def _compile_systems(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if names in (("off",), (AUTO,)):
        return () if names == ("off",) else names
    for name in names:
        if name in ("off", AUTO):
            raise ValueError(f"{text!r}: {name} stands alone: expected off, {AUTO}, or systems such as n300,t3k")
        _system(name)
        if names.count(name) > 1:
            raise ValueError(f"{text!r}: {name} is listed twice; name each system once")
    return names


def _upstream(text: str) -> str:
    if text not in UPSTREAM:
        raise ValueError(f"{text!r} is not a choice{nearest(text, UPSTREAM)}: expected fail, warn or off")
    return text


def _flag(text: str) -> bool:
    value = text.strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(f"{text!r} is neither true nor false: expected 1 or 0")


def _compiler_option(text: str) -> tuple[str, str]:
    from pytest_tt.targets import compiler_options

    key, value = compiler_options.parse(text)
    return next(iter(compiler_options.check({key: value}).items()))


def _path(text: str) -> str:
    if not text:
        raise ValueError("an empty path: expected the name of a file or directory")
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is not a time: expected seconds, 0 or more, e.g. 600")
    return value


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the user sees it: ``--tt-NAME``, ``PYTEST_TT_NAME`` and ini ``tt_name``."""

    name: str
    parse: Callable[[str], Any]
    default: Any
    metavar: str
    help: str
    kind: str = "value"  # or "flag", "switch" (a flag with its opposite), or "list" (repeatable)

    @property
    def flag(self) -> str:
        return "--tt-" + self.name.replace("_", "-")

    @property
    def opposite(self) -> str:
        """The flag that turns a switch off."""
        return "--no-tt-" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return "PYTEST_TT_" + self.name.upper()

    @property
    def ini(self) -> str:
        return "tt_" + self.name


OPTIONS = (
    Option("mesh", _mesh, MeshShape(1, 1), "ROWSxCOLS",
           "Mesh for tests that do not name one; if a test lists several and this is one of them, run only this one "
           "(default: 1x1)"),
    Option("backend", _backend, AUTO, f"{{{','.join((AUTO, *KINDS))}}}",
           f"What executes: {', '.join(f'{kind.title} ({name})' for name, kind in KINDS.items())}; auto takes hw if "
           "chips are found and a plugin for them, such as pjrt-plugin-tt, is installed, else sim; emu executes what "
           "TT's compiler makes of the programs of tt_jit, with the numbers of the chips, and needs pip install "
           "jax-tt-plugin flatbuffers (default: auto)"),
    Option("system", _system, None, "NAME",
           "System to simulate or emulate, or on hw the system that must be present: n150, n300, t3k, galaxy, p100, "
           "p150, qb2, lb-blackhole, galaxy-bh"),
    Option("require", _flag, False, "", "Fail tests that lack the chips to run, instead of skipping them",
           kind="flag"),
    Option("compiler_option", _compiler_option, (), "KEY=VALUE",
           "Option for the TT compiler, checked against the known options; can be repeated", kind="list"),
    Option("artifacts", _path, None, "DIR", "Keep the StableHLO (on hw also TTIR, TTNN and flatbuffer) of "
           "everything compiled through tt_jit"),
    Option("results", _path, None, "FILE", "Write the results document (JSON) of this run"),
    Option("golden_update", _flag, False, "", "Record goldens again from their references; tests whose golden "
           "changes fail; refused if CI is set", kind="flag"),
    Option("compile_cache", _path, None, "DIR|off", "Where to keep the compiled programs of simulated chips between "
           "runs (default: in pytest's cache directory)"),
    Option("lock_timeout", _seconds, 600.0, "SECONDS", "How long to wait for chips that another process holds "
           "(default: 600)"),
    Option("isolate", _flag, None, "", "Run tests in a process of their own, so that a test that crashes or hangs "
           "fails alone and the others still run; --no-tt-isolate turns it off (default: on for hw, off for sim)",
           kind="switch"),
    Option("timeout", _seconds, None, "SECONDS", "Fail an isolated test that takes longer, and end its process; 0 for "
           "no limit (default: 1800 on hw, none on sim)"),
    Option("reset", _flag, False, "", "On hw, reset chips that a crashed test left hung, with tt-smi -r", kind="flag"),
    Option("status_file", _path, None, "FILE", "File with known failures: expected failures, skips and bounds "
           "(default: tt_status.toml in the root directory, if it exists)"),
    Option("compile", _compile_systems, (), "SYSTEM[,SYSTEM]|auto|off", "On sim, compile every program of tt_jit by "
           "TT's compiler for these systems too, without a card; a program that is refused, does not fit into the DRAM "
           "of a chip or runs ops on the host fails its test. auto: for the smallest system with the chips of the "
           "test's mesh; needs pip install jax-tt-plugin flatbuffers (default: off)"),
    Option("compile_upstream", _upstream, "fail", "{fail,warn,off}", "With --tt-compile, what to do about a program "
           "with ops that the installed build of TT's compiler takes, but Tenstorrent's own does not (default: fail)"),
    Option("mock", _flag, False, "", "With --tt-compile for Blackhole systems, run each program once on a mock device "
           "too: what overflows L1 or DRAM there, or is refused by TT's runtime, fails its test", kind="flag"),
    Option("explain", _flag, False, "", "On emu, list the ten ops of each program that cost most accuracy, with their "
           "lines of source", kind="flag"),
)  # fmt: skip


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini key."""
    group = parser.getgroup("tt", "Tenstorrent meshes")
    for option in OPTIONS:
        if option.kind in ("flag", "switch"):
            group.addoption(
                option.flag, dest=option.ini, action="store_const", const=True, default=None, help=option.help
            )
            if option.kind == "switch":
                group.addoption(
                    option.opposite, dest=option.ini, action="store_const", const=False, help=f"Not {option.flag}"
                )
            parser.addini(option.ini, option.help, type="bool", default=None)
        else:
            action = "append" if option.kind == "list" else "store"
            group.addoption(
                option.flag,
                action=action,
                type=argument(option),
                default=None,
                metavar=option.metavar,
                help=option.help,
            )
            ini_type: Any = "linelist" if option.kind == "list" else "string"
            parser.addini(option.ini, option.help, type=ini_type, default=None)


def argument(option: Option) -> Callable[[str], Any]:
    """The parser of `option` for argparse, which shows only the text of ArgumentTypeError."""

    def convert(text: str) -> Any:
        try:
            return option.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def read_settings(
    config: pytest.Config, namespace: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Resolve every setting. Raises pytest.UsageError that names the source of a bad value."""
    _check_names(environ)
    found = {option.name: _resolve(option, config, namespace, environ) for option in OPTIONS}
    settings = Settings(**found)
    if settings.golden_update.value and _flag_or_true(environ.get("CI", "")):
        raise pytest.UsageError(
            f"{settings.golden_update.source} is refused because CI is set: a person records goldens and reviews the "
            "change; run it on a workstation, or unset CI"
        )
    return settings


def read_outside_pytest(
    names: Collection[str], given: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> dict[str, Setting[Any]]:
    """Resolve the settings called `names` outside a pytest run, so without an ini file.

    Raises pytest.UsageError that names the source of a bad value.
    """
    _check_names(environ)
    found = {}
    for option in OPTIONS:
        if option.name in names:
            value = getattr(given, option.ini, None)
            setting = _from_environment(option, environ) if value is None else Setting(value, option.flag)
            found[option.name] = setting or Setting(option.default, "default")
    return found


def _check_names(environ: Mapping[str, str]) -> None:
    """Refuse a variable that looks like a setting but is not one: a typo would go unnoticed."""
    known = {option.env for option in OPTIONS}
    for name in sorted(environ):
        if name.startswith("PYTEST_TT_") and name not in known and name not in _NO_SETTINGS:
            raise pytest.UsageError(
                f"{name} is not a setting of pytest-tt{nearest(name, known)}: expected one of "
                f"{', '.join(sorted(known))}, or unset it"
            )


def _flag_or_true(text: str) -> bool:
    try:
        return _flag(text)
    except ValueError:
        return True


def _resolve(
    option: Option, config: pytest.Config, namespace: argparse.Namespace, environ: Mapping[str, str]
) -> Setting[Any]:
    given = getattr(namespace, option.ini, None)
    if given is not None:
        source = option.opposite if option.kind == "switch" and not given else option.flag
        return Setting(tuple(given) if option.kind == "list" else given, source)
    from_environment = _from_environment(option, environ)
    if from_environment is not None:
        return from_environment
    try:
        configured = config.getini(option.ini)
    except (ValueError, TypeError) as error:
        raise pytest.UsageError(f"ini {option.ini}: {error}") from None
    if configured is not None and configured != []:
        if option.kind in ("flag", "switch"):
            return Setting(bool(configured), f"ini {option.ini}")
        text = "\n".join(configured) if option.kind == "list" else configured
        return Setting(_from_text(option, text, f"ini {option.ini}"), f"ini {option.ini}")
    return Setting(option.default, "default")


def _from_environment(option: Option, environ: Mapping[str, str]) -> Setting[Any] | None:
    if not environ.get(option.env):
        return None
    return Setting(_from_text(option, environ[option.env], option.env), option.env)


def _from_text(option: Option, text: str, place: str) -> Any:
    try:
        if option.kind == "list":
            return tuple(option.parse(line) for line in text.split())
        return option.parse(text)
    except ValueError as error:
        raise pytest.UsageError(f"{place}: {error}") from None
