"""Out of memory: told in words, and before somebody waits for arrays that will never be there.

jax gives a computation's results before it has computed them. Where memory runs out then, to wait for them raises the
error, but to read them (NumPy, ``print``) waits for ever on XLA's CPU client, or ends the process.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_tt.text import short_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator


class TTMemoryError(MemoryError):
    """Arrays do not fit into the memory of the host or of a chip."""


@contextmanager
def memory_for(what: str, arrays: Any) -> Iterator[None]:
    """Turn jax's error into a TTMemoryError that names `what` and the size of `arrays`, a tree of those or of shapes.

    Wait for the results within it (jax.block_until_ready).
    """
    __tracebackhide__ = True
    import jax

    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not is_out_of_memory(error):
            raise
        problem = str(error)
    else:
        return
    leaves = [leaf for leaf in jax.tree.leaves(arrays) if hasattr(leaf, "dtype")]
    size = short_bytes(sum(leaf.size * leaf.dtype.itemsize for leaf in leaves))
    raise TTMemoryError(f"out of memory {what}, {size} in {len(leaves)} array{'s' * (len(leaves) != 1)}: {problem}")


def is_out_of_memory(error: Exception) -> bool:
    """Whether `error` of jax says that memory ran out; XLA's CPU client of jax 0.7 calls it INTERNAL."""
    text = str(error)
    return "RESOURCE_EXHAUSTED" in text or "Out of memory" in text
