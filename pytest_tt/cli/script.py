"""Run a Python program in this process as ``python SCRIPT`` or ``python -m MODULE`` would."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType


class ScriptError(Exception):
    """There is no such program; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Script:
    """A program that can be run, once: it becomes the ``__main__`` of this process."""

    main: ModuleType
    compiled: Callable[[], Any]
    argv: list[str]
    first_on_path: str

    def run(self) -> None:
        """Execute it.

        Raises whatever it raises, which the interpreter then shows without what is ours of the traceback. It stays
        ``__main__``: what runs when the process ends may look for it.
        """
        _put_on_path(self.first_on_path)
        sys.argv[:] = self.argv
        sys.modules["__main__"] = self.main
        try:
            exec(self.compiled(), vars(self.main))
        except SystemExit:
            raise
        except BaseException as error:
            # The first frame is this one. Code that does not compile has none of its own, only more of this file.
            trace = error.__traceback__ and error.__traceback__.tb_next
            ours = trace is not None and trace.tb_frame.f_code.co_filename == __file__
            _show_with(error, None if ours else trace)
            raise


def load_file(path: str, arguments: Sequence[str]) -> Script:
    """The program in file `path`, whose folder comes first on sys.path. Raises ScriptError where it cannot be read."""
    loader = SourceFileLoader("__main__", os.path.abspath(path))
    try:
        source = loader.get_data(loader.path)
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read ({error.strerror}): expected a Python file") from None
    main = _main_module(__file__=loader.path, __loader__=loader, __cached__=None)
    folder = os.path.dirname(os.path.realpath(path))
    return Script(main, lambda: loader.source_to_code(source, loader.path), [path, *arguments], folder)


def load_module(name: str, arguments: Sequence[str]) -> Script:
    """Module `name`, or ``__main__`` of the package `name`, with the current directory first on sys.path.

    Imports the packages that it is in. Raises ScriptError where there is none, or none that can be run.
    """
    folder = os.getcwd()
    _put_on_path(folder)
    found = name
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            found = f"{name}.__main__"
            spec = importlib.util.find_spec(found)
    except ImportError as error:
        raise ScriptError(f"-m {name}: {error}") from None
    if spec is None:
        raise ScriptError(f"-m {name}: there is no module {found}")
    loader: Any = spec.loader
    if not hasattr(loader, "get_code"):
        raise ScriptError(f"-m {name}: {found} holds no code that can be run")
    main = _main_module(
        __spec__=spec, __package__=spec.parent, __file__=spec.origin, __loader__=loader, __cached__=spec.cached
    )
    return Script(main, lambda: loader.get_code(found), [spec.origin or name, *arguments], folder)


def _main_module(**facts: object) -> ModuleType:
    main = ModuleType("__main__")
    vars(main).update(facts, __builtins__=builtins)
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    return main


def _show_with(error: BaseException, trace: TracebackType | None) -> None:
    """Let the interpreter, whose exit code and signals hold, show `error` with the traceback `trace`."""
    show = sys.excepthook

    def show_program(kind: type[BaseException], value: BaseException, whole: TracebackType | None) -> None:
        if value is error:
            value.__traceback__ = whole = trace
        show(kind, value, whole)

    sys.excepthook = show_program


def _put_on_path(first: str) -> None:
    """Put `first` where the interpreter has put the folder of the command or the directory that it was started in."""
    if not sys.flags.safe_path:
        sys.path[0] = first
