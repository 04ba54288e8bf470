"""`tests/jax/multi_chip`: collectives on 2, 4 and 8 chips, by both partitioners of jax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from benchmarks.programs import Argument, f32
from benchmarks.recorded_outcomes.case import COMPILE, NUMBERS, PASSES, PLACEMENT, RUNTIME, Case, case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTITIONERS = ("shardy", "gspmd")
BOTH = ("batch", "model")
ALL = ("1x2", "1x4", "1x8", "2x4")


def psum_scatter(x: Any) -> Any:
    """Over the last axis."""
    return lax.psum_scatter(x, "model", scatter_dimension=x.ndim - 1, tiled=True)


COLLECTIVES: tuple[tuple[str, Callable[..., Any], Argument, tuple[Any, ...], tuple[str, ...]], ...] = (
    ("psum", lambda x: lax.psum(x, "model"), f32(2048, 2048).spread(*BOTH), ("batch",), ALL),
    ("pmean", lambda x: lax.pmean(x, "model"), f32(8192, 784).spread(*BOTH), ("batch",), ALL),
    (
        "all_gather",
        lambda x: lax.all_gather(x, "model", axis=0, tiled=True),
        f32(8192, 784).spread(*BOTH),
        ("batch",),
        ALL,
    ),
    ("psum_scatter", psum_scatter, f32(1024, 1024).spread(*BOTH), BOTH, ALL),
    (
        "psum_scatter_rank_4",
        psum_scatter,
        f32(1, 1, 1024, 1024).spread(None, None, *BOTH),
        (None, None, *BOTH),
        ALL,
    ),
    ("negative", lambda x: -x, f32(256, 256).spread(*BOTH), BOTH, ALL),
)


def collectives() -> Iterator[Case]:
    """A collective each, the arguments with shardings and without."""
    for name, function, argument, out, meshes in COLLECTIVES:
        for mesh in meshes:
            for partitioner in PARTITIONERS:
                settings = {"mesh": mesh, "out": out, "manual": True, "partitioner": partitioner}
                recorded, reason = PASSES, ""
                if name == "pmean" and mesh == "1x4":
                    recorded, reason = NUMBERS, "tt-mlir 3645"
                if name.startswith("psum_scatter") and mesh == "1x8":
                    recorded, reason = RUNTIME, "floating point exception"
                yield case(
                    f"{name}[{mesh}-{partitioner}]", function, argument, recorded=recorded, reason=reason, **settings
                )
                yield case(
                    f"{name}[{mesh}-{partitioner}-module]",
                    function,
                    argument,
                    recorded=PLACEMENT,
                    reason="tt-xla 277",
                    placed=False,
                    **settings,
                )


def layers() -> Iterator[Case]:
    """A dense layer with its sum over chips."""
    x, w = f32(8192, 784).spread(*BOTH), f32(784, 2048).spread("model")
    for mesh in ALL:
        for partitioner in PARTITIONERS:
            for placed in (True, False):
                settings = {
                    "mesh": mesh,
                    "manual": True,
                    "partitioner": partitioner,
                    "placed": placed,
                    "recorded": PASSES if placed else PLACEMENT,
                    "reason": "" if placed else "tt-xla 277",
                }
                end = f"[{mesh}-{partitioner}{'' if placed else '-module'}]"
                yield case(
                    f"dot_psum{end}",
                    lambda x, w, b: lax.psum(x @ w, "model") + b,
                    x,
                    w,
                    f32(2048),
                    out=("batch",),
                    **settings,
                )
                if mesh != "2x4":
                    yield case(
                        f"dot_psum_scatter{end}",
                        lambda x, w, b: psum_scatter(x @ w) + b,
                        x,
                        w,
                        f32(2048).spread("model"),
                        out=BOTH,
                        **settings,
                    )


def automatic() -> Iterator[Case]:
    """What the partitioner spreads."""
    for mesh in ALL:
        for partitioner in PARTITIONERS:
            recorded = {"recorded": COMPILE, "reason": "tt-xla 3068"} if partitioner == "gspmd" else {}
            yield case(
                f"negative[{mesh}-{partitioner}-inputs]",
                lambda x: -x,
                f32(256, 256).spread(*BOTH),
                mesh=mesh,
                out=BOTH,
                partitioner=partitioner,
                **recorded,
            )
            if mesh == "2x4":
                continue
            passes = mesh == "1x2" and partitioner == "shardy"
            for manual in (True, False):
                yield case(
                    f"reshard[{mesh}-{partitioner}{'' if manual else '-inputs'}]",
                    _without_constraint if manual else _constrained,
                    f32(32, 32).spread(*BOTH),
                    mesh=mesh,
                    out=BOTH[::-1],
                    manual=manual,
                    partitioner=partitioner,
                    recorded=PASSES if passes and manual else COMPILE,
                    reason="" if passes and manual else "resharding (tt-xla 563, 916)",
                )


def _without_constraint(x: Any) -> Any:
    # Under shard_map a constraint on the part of one chip says nothing.
    return x * 1


def _constrained(x: Any, mesh: Any) -> Any:
    return lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec()))


def matmuls() -> Iterator[Case]:
    """`test_detailed_sharding` on 1x2: products of spread matrices."""
    for size in (32, 64, 128):
        yield case(
            f"different_tensor_sizes[{size}]",
            jnp.matmul,
            f32(size, size).spread("batch"),
            f32(size, size).spread(None, "model"),
            mesh="1x2",
            out=BOTH,
        )
    square = f32(64, 64)
    rows, columns = square.spread("batch"), square.spread(None, "model")
    yield case("triple_matmul_chain", lambda x, y, z: x @ y @ z, rows, columns, square, mesh="1x2", out=BOTH)
    yield case("output_reused_as_input", lambda x, y: x @ y @ y, rows, columns, mesh="1x2", out=BOTH)
    yield case("sequential_operations", lambda x, y: x @ y + 0.1, rows, columns, mesh="1x2", out=BOTH)
    yield case("replicated_sharding", jnp.matmul, square, square, mesh="1x2", out=())


CASES = (*collectives(), *layers(), *automatic(), *matmuls())
