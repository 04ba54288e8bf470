"""Which installed plugins give jax the platform ``tt``, found without loading their native part.

jax imports and initialises every plugin that it discovers: entry points of group ``jax_plugins``, modules of the
namespace package ``jax_plugins``, and the libraries of PJRT_NAMES_AND_LIBRARY_PATHS. Which platform one registers is
known only once it has run. The known ones are found by name; any other one is run in a process of its own, in which
registering ``tt`` loads nothing, and is known by that effect.

Of several, jax takes the first, and it goes through them in the order of a set of names, which differs from process to
process. A run takes the first of `find_providers`, and hides the others from jax.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

from pytest_tt.packages import package_version
from pytest_tt.targets.platforms import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

GROUP = NAMESPACE = "jax_plugins"
LIBRARIES_VARIABLE = "PJRT_NAMES_AND_LIBRARY_PATHS"
OFFICIAL = "pjrt-plugin-tt"
PUBLIC = "jax-tt-plugin"

# Distributions that register tt, with names and modules of their entry points: a build of one's own often keeps those.
# Where several are installed, a run takes the first.
KNOWN = {
    OFFICIAL: ("pjrt_plugin_tt", "jax_plugin_tt"),
    PUBLIC: ("libtt", "jax_plugins.libtt"),
}

# The official one is not on the package index, and has wheels for one Python only.
INSTALL = (
    f"pip install {PUBLIC} (Linux on x86-64), or Tenstorrent's {OFFICIAL} (Python 3.12) from its own index, "
    'see "On a card" in the README'
)
_KNOWN_NAMES = frozenset(name for names in KNOWN.values() for name in names)

# A plugin that does not say within this time what it registers is not known to be one for tt.
_LIMIT_S = 60
_REGISTERS = "pytest-tt: registers the platform"


@dataclass(frozen=True, slots=True)
class Provider:
    """One plugin that registers ``tt``. ``str()`` names it for people: ``jax-tt-plugin 0.1.3``."""

    name: str
    """The distribution, or where there is none the module or the library."""
    version: str | None = None
    module: str | None = None
    """What jax imports; None for a library of PJRT_NAMES_AND_LIBRARY_PATHS."""
    known: bool = False
    """Whether it is known by its name to register ``tt``."""

    def __str__(self) -> str:
        if self.module is None:
            return f"{self.name} ({LIBRARIES_VARIABLE})"
        return f"{self.name} {self.version}" if self.version is not None else f"module {self.name}"


def find_providers() -> tuple[Provider, ...]:
    """The plugins through which jax would get ``tt`` here, those that cannot be imported left out.

    The first is the one that a run takes: what the variable names, then the known ones, then others, by name. Each
    unknown plugin costs a process.
    """
    libraries = tuple(Provider(path) for path in tt_libraries())
    plugins = [each for each in _plugins() if findable(each.module or "")]
    found = [each for each in plugins if each.known or _registers_tt(each.module or "", tuple(sys.path))]
    return libraries + tuple(sorted(found, key=_rank))


def _rank(provider: Provider) -> tuple[bool, int, str]:
    name = _canonical(provider.name)
    return (not provider.known, list(KNOWN).index(name) if name in KNOWN else len(KNOWN), name)


@contextmanager
def hidden(providers: tuple[Provider, ...]) -> Iterator[None]:
    """While jax looks for plugins: let it find in the place of each of `providers` a module that registers nothing."""
    before = {each.module: sys.modules.get(each.module) for each in providers if each.module is not None}
    for name in before:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__dict__["initialize"] = lambda: None
    try:
        yield
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def known_providers() -> tuple[Provider, ...]:
    """The plugins for ``tt`` that are known by their names, whether or not their modules are there."""
    return tuple(each for each in _plugins() if each.known)


def loaded_providers() -> tuple[Provider, ...]:
    """The plugins that are imported in this process: one of them has started ``tt``, if anything has."""
    loaded = [each for each in _plugins() if each.module in sys.modules]
    return tuple([each for each in loaded if each.known] or loaded) + tuple(map(Provider, tt_libraries()))


def known_distributions() -> tuple[tuple[str, str], ...]:
    """Name and version of each installed distribution of `KNOWN`, whether or not jax would find its plugin."""
    versions = [(name, package_version(name)) for name in KNOWN]
    return tuple((name, version) for name, version in versions if version is not None)


def tt_libraries(variable: str | None = None) -> tuple[str, ...]:
    """The libraries that PJRT_NAMES_AND_LIBRARY_PATHS (``name:path,name:path``) names for ``tt``."""
    text = os.environ.get(LIBRARIES_VARIABLE, "") if variable is None else variable
    parts = (part.partition(":") for part in text.split(","))
    return tuple(path for name, _, path in parts if name == PLATFORM)


def names(providers: tuple[Provider, ...]) -> str:
    """``jax-tt-plugin 0.1.3``; with ``and`` where there are several."""
    return " and ".join(map(str, providers))


def choice(providers: tuple[Provider, ...]) -> str:
    """The one of `providers` that a run takes, and which it does not."""
    others = names(providers[1:])
    return f"{providers[0]}" + (f", not {others}" if others else "")


def findable(module: str) -> bool:
    """Whether `module` is there, as far as can be said without importing anything."""
    top, _, rest = module.partition(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    if rest and "." not in rest and spec.origin is None:  # in a namespace package
        return PathFinder.find_spec(module, spec.submodule_search_locations) is not None
    return True


def _plugins() -> tuple[Provider, ...]:
    """Every plugin that jax would import, each module once."""
    found: dict[str, Provider] = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        known = _is_known(entry.module, entry.name, entry.dist)
        if entry.module not in found or known:
            found[entry.module] = _provider(entry.module, entry.dist, known)
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(NAMESPACE)
        places = None if spec is None else spec.submodule_search_locations
        for _, module, _ in pkgutil.iter_modules(places or (), f"{NAMESPACE}."):
            if module not in found:
                owner = _owner(module)
                found[module] = _provider(module, owner, _is_known(module, "", owner))
    return tuple(found.values())


def _provider(module: str, distribution: Distribution | None, known: bool) -> Provider:
    if distribution is None:
        return Provider(module, None, module, known)
    return Provider(distribution.name, distribution.version, module, known)


def _is_known(module: str, entry: str, distribution: Distribution | None) -> bool:
    name = None if distribution is None else _canonical(distribution.name)
    return name in KNOWN or not _KNOWN_NAMES.isdisjoint((module, module.partition(".")[0], entry))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _owner(module: str) -> Distribution | None:
    """The distribution that has installed `module` of the namespace package."""
    paths = {f"{module.replace('.', '/')}{end}" for end in (".py", "/__init__.py")}
    for name in set(importlib.metadata.packages_distributions().get(NAMESPACE, ())):
        distribution = importlib.metadata.distribution(name)
        if any(file.as_posix() in paths for file in distribution.files or ()):
            return distribution
    return None


@functools.cache
def _registers_tt(module: str, path: tuple[str, ...]) -> bool:
    """Run the plugin `module` in a process of its own, which has nothing of its own to start: does it register tt?"""
    code = (
        "import json, sys\n"
        "sys.path[:], module = json.loads(sys.argv[1])\n"
        "from pytest_tt.targets.provider import probe\n"
        "probe(module)"
    )
    with tempfile.TemporaryDirectory(prefix="pytest-tt-") as folder:
        child = subprocess.Popen(
            [sys.executable, "-c", code, json.dumps([path, module])],
            env={**os.environ, "TMPDIR": folder, "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = child.communicate(timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            output, _ = child.communicate()
    return _REGISTERS in output


def probe(module: str) -> None:
    """Initialise the plugin `module` as jax would, and print a line if it registers ``tt``, for which nothing loads."""
    import jax  # noqa: F401 - its private parts need it

    from pytest_tt.targets import jax_private

    jax_private.refuse(PLATFORM, lambda: print(f"\n{_REGISTERS}", flush=True))
    importlib.import_module(module).initialize()
