"""Python, the wheel, jax and flax, and the environment variables that change what they do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from pytest_tt.ci.doctor.diagnosis import Diagnosis, blocks, ok, warning
from pytest_tt.packages import package_version
from pytest_tt.targets.provider import (
    GROUP,
    INSTALL,
    OFFICIAL,
    choice,
    find_providers,
    known_distributions,
    known_providers,
    names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AGAIN = f"in a fresh virtual environment: {INSTALL}"
_PROBE_LIMIT_S = 120

# Names that jax takes in jax_platforms without a plugin that we could look up.
_PLATFORMS = ("cpu", "tt", "gpu", "cuda", "rocm", "tpu", "proxy", "interpreter")

# Variables that make the client do something else than run on the chips here: name, what it does, severity.
_MODES = (
    (
        "TT_COMPILE_ONLY_SYSTEM_DESC",
        "the client opens no chip, and every output is what its memory was set up with",
        True,
    ),
    ("TT_METAL_SIMULATOR", "the client runs on a simulator of a chip, not on the cards", False),
    ("TT_METAL_MOCK_CLUSTER_DESC_PATH", "the client takes a file's description of the box for the box", False),
    ("TT_METAL_SLOW_DISPATCH_MODE", "every command waits for the one before; times mean nothing", False),
)
# The wheel brings its own tt-metal; these point it, or what it loads, to another one.
_OTHER_METAL = ("TT_METAL_HOME", "TT_METAL_RUNTIME_ROOT")


def look_at_python(version: str | None = None) -> Diagnosis:
    """Whether the wheel has a build for this Python; `version` is for tests."""
    from packaging.specifiers import SpecifierSet

    version = version or ".".join(map(str, sys.version_info[:3]))
    installed = _installed()
    # A plugin without metadata does not say what it needs.
    wanted = (installed and _requires_python(installed)) or ""
    if version in SpecifierSet(wanted, prereleases=True):
        return ok("python", f"Python {version}")
    return blocks(
        "python",
        f"Python {version}, but {installed} needs {wanted}",
        "a wheel for another Python cannot be imported",
        f"use a Python that is {wanted}",
    )


def look_at_wheel() -> list[Diagnosis]:
    """Which plugin gives jax the platform tt, and whether jax is the one that it was built for."""
    providers = find_providers()
    if not providers:
        return [_without_provider()]
    found = []
    if len(providers) > 1:
        found.append(
            warning(
                "wheel",
                f"several plugins register tt: {names(providers)}",
                f"pytest-tt takes {providers[0]}; other programs get the one that jax happens to start first",
                "keep one",
            )
        )
    found.append(ok("wheel", choice(providers)))
    found += _pins(providers[0].name)
    return found


def _without_provider() -> Diagnosis:
    """Nothing gives jax the platform tt: is the wheel damaged, or not there?"""
    modules = ", ".join(sorted({f"{provider.module}" for provider in known_providers()}))
    broken = [f"{name} {version}" for name, version in known_distributions()]
    if not broken and not modules:
        return blocks("wheel", "no plugin for jax registers tt", "jax knows no such platform without one", INSTALL)
    name = broken[0] if broken else f"{OFFICIAL} ?"
    if modules:
        what = f"{name} names the module {modules}, which is not there"
    else:
        what = f"{name} registers nothing with jax (entry points {GROUP})"
    again = f"pip uninstall {name.partition(' ')[0]}, then {_AGAIN}"
    return blocks("wheel", what, "it was installed in part, or damaged since", again)


def _installed() -> str | None:
    """The distribution through which jax gets the platform tt, or would if it were not damaged."""
    provider = next((each for each in find_providers() if each.version is not None), None)
    damaged = next(iter(known_distributions()), None)
    return provider.name if provider is not None else damaged and damaged[0]


def _pins(distribution: str) -> Iterator[Diagnosis]:
    """jax and jaxlib against what the metadata of `distribution` asks for."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        lines = importlib.metadata.requires(distribution) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return
    good = []
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.name not in ("jax", "jaxlib") or (wanted.marker is not None and not wanted.marker.evaluate()):
            continue
        version = package_version(wanted.name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            yield blocks(
                wanted.name,
                f"{wanted.name} {version or 'is not installed'}, but {distribution} {package_version(distribution)} "
                f"needs {wanted.name}{wanted.specifier}",
                "its native part is built for that version: others end in an undefined symbol or in a crash",
                f'pip install "{wanted.name}{wanted.specifier}", or {_AGAIN}',
            )
        else:
            good.append(f"{wanted.name} {version}")
    if good:
        yield ok("jax", f"{', '.join(good)}: as the wheel needs it")


def look_at_flax() -> Diagnosis:
    """Whether flax.linen can be imported beside this jax, which the plugin does before jax starts on the chips."""
    if importlib.util.find_spec("flax") is None:
        return warning(
            "flax",
            "flax is not installed",
            "the zoo needs it; Tenstorrent's plugin marks the weights of flax.linen modules only",
            "pip install flax, if your models use it",
        )
    # On the host alone: no chip is opened.
    done = _run("import flax.linen", os.environ | {"JAX_PLATFORMS": "cpu"}, _PROBE_LIMIT_S)
    if done is None or done.returncode != 0:
        last = _last_line(done)
        return blocks(
            "flax",
            f"flax {package_version('flax')} cannot be imported with jax {package_version('jax')}: {last}",
            "pytest-tt imports it before jax starts on the chips, so that weights are marked",
            _AGAIN
            if "undefined symbol" in last
            else "install a flax that fits this jax: pip install -U flax, or an older one",
        )
    return ok("flax", f"flax {package_version('flax')} can be imported before jax starts")


def look_at_start() -> list[Diagnosis]:
    """Whether something imports or starts jax when Python starts, before a plugin of pytest can do anything."""
    code = (
        "import sys\n"
        "bridge = sys.modules.get('jax._src.xla_bridge')\n"
        "print('jax' in sys.modules, bridge is not None and bridge.backends_are_initialized(),"
        " 'flax.linen' in sys.modules)"
    )
    # Not on the chips: if something does start jax, then on the host.
    done = _run(code, os.environ | {"JAX_PLATFORMS": "cpu"}, _PROBE_LIMIT_S)
    where = "look for a sitecustomize or usercustomize module and for .pth files in site-packages"
    if done is None or done.returncode != 0:
        return [blocks("start", f"Python does not start: {_last_line(done)}", "then no test does", where)]
    imported, started, linen = (word == "True" for word in done.stdout.split()[-3:])
    if started and not linen:
        return [
            blocks(
                "start",
                "jax's backends are started when Python starts, before flax.linen is imported",
                "Tenstorrent's plugin then marks no weights, and pytest-tt cannot queue for the chips",
                where,
            )
        ]
    if imported:
        return [warning("start", "jax is imported when Python starts", "settings made later have no effect", where)]
    return []


def look_at_environment(environ: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Variables that change what jax and the client do."""
    platforms = environ.get("JAX_PLATFORMS", "")
    names = [name.strip().lower() for name in platforms.split(",") if name.strip()]
    known = {*_PLATFORMS, *(entry.name for entry in importlib.metadata.entry_points(group=GROUP))}
    unknown = [name for name in names if name not in known]
    if unknown:
        yield blocks(
            "JAX_PLATFORMS",
            f"JAX_PLATFORMS={platforms}: {unknown[0]!r} is not a platform that is installed",
            "jax starts no backend at all then",
            "unset it, or JAX_PLATFORMS=cpu,tt",
        )
    elif names and "tt" not in names:
        yield warning(
            "JAX_PLATFORMS",
            f"JAX_PLATFORMS={platforms} leaves out tt",
            "pytest-tt adds it in runs that use chips; scripts outside of pytest see none",
            "unset it, or JAX_PLATFORMS=cpu,tt",
        )
    for name, effect, fatal in _MODES:
        if environ.get(name, "") not in ("", "0"):
            make = blocks if fatal else warning
            yield make(name, f"{name}={environ[name]} is set", effect, f"unset {name}")
    for name in _OTHER_METAL:
        if environ.get(name):
            yield warning(
                name,
                f"{name}={environ[name]} is set",
                "the wheel brings its own tt-metal: kernels of another version do not fit",
                f"unset {name} in the shell that runs the tests",
            )
    path = os.path.join(environ.get("TMPDIR") or tempfile.gettempdir(), "tt_pjrt_system_descriptor")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        yield blocks(
            "TMPDIR",
            f"{path} belongs to another user",
            "every client writes a file of this name when it starts",
            "set TMPDIR to a directory of your own",
        )


def _requires_python(distribution: str) -> str | None:
    facts = importlib.metadata.metadata(distribution)
    return next(iter(facts.get_all("Requires-Python") or ()), None)


def _run(code: str, environ: Mapping[str, str], limit_s: float) -> subprocess.CompletedProcess[str] | None:
    """Run `code` in a Python of its own; None where it took longer than `limit_s`."""
    try:
        return subprocess.run(
            [sys.executable, "-c", code],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _last_line(done: subprocess.CompletedProcess[str] | None) -> str:
    if done is None:
        return f"it did not end within {_PROBE_LIMIT_S} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode}"
