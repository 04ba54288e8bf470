"""What calls TT's compiler, in the compiler's own process: the one module that has to do with its library.

Another engine has the same two functions and the same exception.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Refused(Exception):
    """The compiler does not take a program, and says why."""


def load(library: Path) -> None:
    """Load the library once for all programs, and import what compiling one needs. Raises OSError."""
    import jax  # noqa: F401

    from pytest_tt.targets import jax_private

    ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL)
    jax_private.prepare_compiling()


def compile(library: Path, module: bytes, devices: int, options: Mapping[str, str], descriptor: Path) -> bytes:
    """The serialized executable of `module` for the first `devices` chips of a box. Raises Refused.

    Once in a process: the library reads the descriptor of its box when it starts.
    """
    from pytest_tt.targets import jax_private

    os.environ["TT_COMPILE_ONLY_SYSTEM_DESC"] = str(descriptor)
    client = jax_private.client_of_library("tt", str(library))
    try:
        return jax_private.compile_module(client, module, devices, options)
    except (RuntimeError, ValueError) as error:
        raise Refused(str(error)) from error
