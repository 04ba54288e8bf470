"""Fake tt_jax of pjrt-plugin-tt, for tests only: the files have the right names and say what they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
from jax_plugin_tt import note

if TYPE_CHECKING:
    from collections.abc import Callable


def serialize_compiled_artifacts_to_disk(
    func: Callable[..., Any],
    *args: Any,
    output_prefix: str,
    compiler_options: dict[str, str] | None = None,
    **kwargs: Any,
) -> None:
    """Compile `func` for these arguments and write three files beginning with `output_prefix`."""
    text = jax.jit(func).lower(*args, **kwargs).as_text()
    note("serialize", options=compiler_options, output_prefix=output_prefix)
    prefix = Path(output_prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for ending in ("_ttir.mlir", "_ttnn.mlir", ".ttnn"):
        prefix.with_name(prefix.name + ending).write_text(f"// fake, not from a TT compiler\n{text}")
