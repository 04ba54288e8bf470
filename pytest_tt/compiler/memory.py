"""Out of memory: a clear error, raised before the program waits for arrays that never arrive.

jax returns the results of a computation before it has computed them. If memory runs out then, waiting for them raises
the error, but reading them (NumPy, ``print``) waits forever on XLA's CPU client, or aborts the process.
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
    """Turn jax's error into a TTMemoryError that names `what` and the size of `arrays`, a tree of arrays or shapes.

    Wait for the results inside it (jax.block_until_ready).
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
    """Whether `error` of jax says that memory ran out; in jax 0.7, XLA's CPU client calls it INTERNAL."""
    text = str(error)
    return "RESOURCE_EXHAUSTED" in text or "Out of memory" in text
