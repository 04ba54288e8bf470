"""Programs lowered for Tenstorrent's chips by jax, from shapes and shardings alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_tt.targets.platforms import PLATFORM
from pytest_tt.tt_compiler.errors import from_jax
from pytest_tt.tt_compiler.weights import marked, weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Result(NamedTuple):
    """A result of a program: its path in what the function returns (``['logits']``), its whole shape, and its type."""

    path: str
    shape: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True)
class Lowered:
    """One program, ready for the compiler. The lowering rules are those for ``tt``, which differ from the CPU's."""

    name: str
    module: bytes = field(repr=False)
    """StableHLO as MLIR's bytecode, with the lines of the source and the marks of weights."""
    devices: int
    mesh: str
    """ROWSxCOLS of chips, ``1x2``; more numbers if the mesh has more axes."""
    kept: tuple[int, ...]
    """Numbers of the arguments' leaves that the program uses: jax drops the others."""
    in_shardings: tuple[Any, ...] = field(repr=False)
    """Of the kept arguments; of those that are left to the compiler, whatever jax has in place of one."""
    out_shardings: tuple[Any, ...] = field(repr=False)
    _ir: Any = field(repr=False, compare=False)
    results: tuple[Result, ...] = field(default=(), repr=False)
    donated: tuple[int, ...] = ()
    """Numbers of the arguments' leaves that are given up for the results."""

    @cached_property
    def text(self) -> str:
        """The StableHLO, with the lines of the source, without the marks."""
        return str(self._ir.operation.get_asm(enable_debug_info=True))


def lower(
    function: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    weights: Mapping[int, str] | None = None,
) -> Lowered:
    """`function` lowered for arguments that are arrays or ``jax.ShapeDtypeStruct``; no values are used.

    `function` is what jax.jit or tt_jit returned, with its shardings, or a plain function. `weights` are the leaves of
    the arguments that the compiler is told to be weights, number to name; None: those of `weights_of`. Raises
    TTCompileError for what jax cannot lower for ``tt``, such as callbacks.
    """
    import jax

    traceable = function if hasattr(function, "trace") else jax.jit(function)
    return lower_traced(traceable.trace(*args, **dict(kwargs or {})), name=name, weights=weights)


def lower_traced(traced: Any, *, name: str | None = None, weights: Mapping[int, str] | None = None) -> Lowered:
    """The same for what ``trace`` of a jitted function returned."""
    import jax

    from pytest_tt.targets import jax_private

    name = name or str(getattr(traced, "fun_name", "program"))
    try:
        lowered = jax_private.lower_for(traced, PLATFORM)
    except (NotImplementedError, ValueError) as error:
        refusal = from_jax(error, traced.jaxpr, program=name)
        if refusal is None:
            raise
        raise refusal from error
    module = lowered.compiler_ir("stablehlo")
    kept, in_shardings, out_shardings = jax_private.placement_of(lowered)
    weights = weights_of(*lowered.args_info) if weights is None else weights
    content = BytesIO()
    numbered = {kept.index(number): path for number, path in weights.items() if number in kept}
    marked(module, numbered).operation.write_bytecode(content)
    devices = int(module.operation.attributes["mhlo.num_partitions"])
    results = tuple(
        Result(jax.tree_util.keystr(path), tuple(info.shape), info.dtype)
        for path, info in jax.tree_util.tree_leaves_with_path(lowered.out_info)
    )
    donated = tuple(number for number, info in enumerate(jax.tree.leaves(lowered.args_info)) if info.donated)
    return Lowered(
        name, content.getvalue(), devices, _mesh((*in_shardings, *out_shardings), devices), kept, in_shardings,
        out_shardings, module, results, donated,
    )  # fmt: skip


def _mesh(shardings: Sequence[Any], devices: int) -> str:
    """The mesh of the shardings, as text; without one, a row of all devices."""
    for sharding in shardings:
        mesh: Any = getattr(sharding, "mesh", None)
        if mesh is not None and mesh.size == devices:
            sizes = tuple(mesh.shape.values())
            return "x".join(map(str, sizes if len(sizes) > 1 else (1, *sizes)))
    return f"1x{devices}"
