"""What to write instead of what TT's compiler refuses, for the kinds of refusals that are known."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ON_THE_HOST = "or compute it on the host (jax.jit on jax.devices('cpu')) and pass the result as an argument"
_DYNAMIC = "give every dimension a static size: pad to the largest, and pass the real length as data for a mask"


@dataclass(frozen=True, slots=True)
class _Hint:
    """`text` for a refusal whose op, sentence and name in jax match the patterns, those that are given."""

    text: str
    op: str = ""
    sentence: str = ""
    name: str = ""


# From small programs compiled with jax-tt-plugin 0.1.3; the first that matches counts.
_HINTS = (
    _Hint(
        f"factor with matrix products (Newton-Schulz for an inverse), {_ON_THE_HOST}",
        op=r"cholesky|triangular_solve",
    ),
    _Hint(
        f"factor with matrix products (Newton-Schulz for an inverse), {_ON_THE_HOST}",
        name=r"\b(qr|eigh|eig|svd|lu|householder_product|geqrf|cholesky|triangular_solve|schur|hessenberg|tridiagonal)",
    ),
    _Hint(
        f"multiply by the matrix of the transform, its real and imaginary part apart, {_ON_THE_HOST}",
        op=r"\bfft\b",
    ),
    _Hint(
        f"multiply by the matrix of the transform, its real and imaginary part apart, {_ON_THE_HOST}",
        name=r"\bi?r?fft",
    ),
    _Hint("keep real and imaginary part in two real arrays", sentence=r"complex<"),
    _Hint(
        "reduce over one axis of the mesh after the other, lax.psum(lax.psum(x, 'model'), 'batch'), and over whole "
        "axes, without axis_index_groups",
        op=r"all_reduce|reduce_scatter|all_gather",
    ),
    _Hint(
        "make each sharded dimension a multiple of its mesh axis: pad it, or replicate it (PartitionSpec None)",
        sentence=r"tensor sharding is incompatible with tensor shape|Could not compute local sharded shape",
    ),
    _Hint(
        "change the layout in two steps over a replicated one: jax.lax.with_sharding_constraint to PartitionSpec(), "
        "then to what you need",
        sentence=r"CollectivePermuteOp",
    ),
    _Hint(
        "do it on a replicated axis (jax.lax.with_sharding_constraint to PartitionSpec()), or on each chip's part "
        "under jax.shard_map",
        op=r"stablehlo\.pad|sdy\.all_slice",
    ),
    _Hint(
        "use a mesh that the system has, e.g. 1x8 or 2x4 in place of 4x2",
        sentence=r"Mesh is not valid",
    ),
    _Hint(
        "use a mesh of one or two axes: join two of them, and shard by the joined one",
        sentence=r"0D, 1D, or 2D mesh|Only support 2d hardware mesh",
    ),
    _Hint(
        "leave jax_use_shardy_partitioner at True, its default: without Shardy only shard_map compiles",
        sentence=r"GSPMD presharded|num_chips > 0",
    ),
    _Hint(
        "return what you want to see as a result, and print it on the host; call Python between two jitted functions",
        name=r"callback|debug_print",
    ),
    _Hint(
        "return what you want to see as a result, and print it on the host; call Python between two jitted functions",
        sentence=r"EmitPythonCallback|callback",
    ),
    _Hint("use a function of jax without check_vma/pbroadcast: jax.shard_map(..., check_vma=False)", name="pbroadcast"),
    _Hint(
        "use bfloat16 or float32; block formats of 8 and 4 bits come by the compiler option "
        "experimental_weight_dtype=bfp_bf8",
        sentence=r"data_type_utils\.cc|Unsupported (signed integer |unsigned integer |float )?type",
    ),
    _Hint(
        "pool with lax.max, lax.add or lax.mul and their own start value (-inf, 0, 1)",
        op=r"reduce_window|select_and_scatter",
    ),
    _Hint("reduce by sum, product, maximum or minimum, and combine those", op=r"stablehlo\.reduce$"),
    _Hint(
        "pad first (jnp.pad), then convolve with symmetric padding and feature_group_count alone",
        op=r"convolution",
    ),
    _Hint("use jnp.where on both results, or lax.cond", op=r"stablehlo\.if"),
    _Hint("apply the function to whole arrays, or jax.vmap it", op=r"stablehlo\.map"),
    _Hint(
        "draw the numbers on the host and pass them as an argument, or use jax.random's threefry",
        op=r"stablehlo\.rng",
    ),
    _Hint(_DYNAMIC, op=r"dynamic_(pad|gather|reshape|conv|broadcast)|real_dynamic|set_dimension_size"),
    _Hint(_DYNAMIC, sentence=r"kDynamic"),
    _Hint("convert to a type of the same width, or compute with shifts and masks", op=r"bitcast_convert"),
    _Hint("use lax.axis_index under jax.shard_map, or pass the index as sharded data", op=r"replica_id|partition_id"),
    _Hint("pass the data as arguments and results of the jitted function", op=r"after_all|infeed|outfeed|send|recv"),
    _Hint("use jnp.take or indexing", op=r"torch_index_select"),
    _Hint(
        "use arrays of at most six dimensions: merge some before the op",
        sentence=r"[Bb]roadcast.*rank >= 7|rank >= 7",
    ),
    _Hint(
        "use optimization_level=0: levels 1 and 2 ask a mock device, which this build has for Blackhole alone and "
        "not for every op",
        sentence=r"OperationValidationAndFallback|Op constraint query",
    ),
    # What upstream lacks, by the names of upstream.py.
    _Hint("write a Python loop, which jax unrolls: its length is known when jax traces it", op=r"^while$"),
    _Hint("compute both results, and choose with jnp.where; or choose in Python, by a static argument", op=r"^case$"),
    _Hint("write jnp.where(positions == index, value, cache), which stays on the chip", op=r"^dynamic_update_slice$"),
    _Hint("write jnp.floor(x + 0.5), which rounds halves up", op=r"^round_nearest_even$"),
    _Hint("divide by a power of two with jnp.floor_divide, or shift unsigned numbers", op=r"^shift_right_arithmetic$"),
    _Hint("convert with astype to bfloat16 and back", op=r"^reduce_precision$"),
    _Hint("pass the index of each chip as sharded data, e.g. jnp.arange over the axis", op=r"^partition_id$"),
    _Hint("pass it as an array of shape (1,), or as a static argument", op=r"^scalar argument$"),
    _Hint("use float32 or bfloat16", op=r"^type f(64|16|8\w*)$"),
    _Hint("rewrite it with jax.numpy, or keep it out of the jitted function", op=r"custom_call"),
)


def hint_for(op: str | None, sentence: str, name: str = "") -> str | None:
    """What to write instead; None if nothing is known.

    `op` is the op that was refused (``stablehlo.cholesky``), `sentence` what the compiler said of it, `name` what jax
    calls it (``jit(f)/cholesky``, or a primitive).
    """
    for hint in _HINTS:
        wanted = ((hint.op, op or ""), (hint.sentence, sentence), (hint.name, name))
        if all(re.search(pattern, text) for pattern, text in wanted if pattern):
            return hint.text
    return None
