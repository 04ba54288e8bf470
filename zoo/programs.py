"""The programs of a model as people run it, by shapes alone: a forward pass; prefill and decode where it writes text,
encode and decode where it has an encoder too.

They are what ``python -m zoo compile`` and the contract test give TT's compiler. Nothing is loaded, placed or computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_tt.targets.mesh import MeshShape
from pytest_tt.targets.systems import SYSTEMS, smallest_system
from zoo.parts.sharding import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jax.sharding import Mesh, PartitionSpec

    from pytest_tt.tt_compiler.card_program import CardProgram
    from zoo.registry import Model

ROWS = 8
"""Rows of a batch, unless the mesh asks for more."""

LENGTH = 128
"""Tokens of a row or a prompt, unless the model has fewer positions; the cache has twice as many slots."""


@dataclass(frozen=True, slots=True)
class ModelProgram:
    """A function of a model on a mesh, with its shardings, and the shapes that it is for."""

    name: str
    """``forward``, ``prefill``, ``encode`` or ``decode``."""
    function: Any
    """As jax.jit returns it."""
    arguments: tuple[Any, ...]
    """Trees of jax.ShapeDtypeStruct; the first holds the parameters."""
    rows: int
    """Rows of the batch."""
    length: int | None
    """Tokens of a row or a prompt, or slots of the cache; None where rows are not of tokens."""
    collectives: Mapping[str, int]
    """Kind to count as the model declares it, for the program of TT's compiler."""


def names_of(model: Model) -> tuple[str, ...]:
    """Names of the programs that `programs_of` gives."""
    generation = () if model.decoder is None else ("prefill", "decode")
    return ("forward", *generation, *(() if model.writer is None else ("encode", "decode")))


def programs_of(
    model: Model, config: Any, mesh: Mesh, *, rows: int = ROWS, length: int = LENGTH, parameters: str | None = None
) -> Iterator[ModelProgram]:
    """The programs of `model` at `config` (a variant's, not fitted) on `mesh`, whose chips may be simulated.

    `rows` are rounded up to what the chips divide that share them, `length` is cut to the model's positions.
    `parameters`: the dtype of those that are floating-point numbers; None: as the config has them. Raises what tracing
    raises.
    """
    forward = forward_of(model, config, mesh, rows=rows, length=length)
    if parameters is not None:
        forward = replace(forward, arguments=(_in(parameters, forward.arguments[0]), *forward.arguments[1:]))
    yield forward
    if model.decoder is not None:
        yield from generation_of(model, config, mesh, forward.arguments[0], rows=rows, length=length)
    if model.writer is not None:
        yield from writing_of(model, config, mesh, forward.arguments, length=length)


def _in(dtype: str, shapes: Any) -> Any:
    """A tree of jax.ShapeDtypeStruct, floating-point numbers in `dtype`."""
    import jax
    import jax.numpy as jnp

    def cast(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        wanted = jnp.dtype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf.dtype
        return jax.ShapeDtypeStruct(leaf.shape, wanted)

    return jax.tree.map(cast, shapes)


def forward_of(model: Model, config: Any, mesh: Mesh, *, rows: int = ROWS, length: int = LENGTH) -> ModelProgram:
    """The forward pass, as `programs_of`."""
    architecture, sharding = model.architecture, model.sharding
    fitted = sharding.fit(config, mesh)
    inputs = input_shapes(model, fitted, _divided(rows, sharding.input_specs(fitted, mesh), mesh), length)
    function = jitted(model, fitted, mesh)
    first = next(iter(inputs.values())).shape
    tokens = first[1] if "input_ids" in inputs else None
    declared = sharding.declared(fitted, mesh, inputs, card=True)
    return ModelProgram("forward", function, (architecture.shapes(fitted), inputs), first[0], tokens, declared)


def jitted(model: Model, fitted: Any, mesh: Mesh, forward: Callable[[Any], Any] | None = None) -> Any:
    """The forward pass of `model`, or `forward` of its module, with the model's shardings on `mesh`.

    `fitted` is a config that is fitted to the mesh. Takes parameters and inputs by name.
    """
    import jax

    architecture, sharding = model.architecture, model.sharding
    params, inputs = sharding.param_specs(fitted, mesh), dict(sharding.input_specs(fitted, mesh))
    return jax.jit(
        (forward or architecture.forward)(architecture.build(fitted)),
        in_shardings=(bound(params, mesh), bound(inputs, mesh)),
        out_shardings=bound(dict(sharding.output_specs(fitted, mesh)), mesh),
    )


def generation_of(
    model: Model, config: Any, mesh: Mesh, params: Any, *, rows: int = ROWS, length: int = LENGTH
) -> Iterator[ModelProgram]:
    """Prefill of prompts of `length` tokens and one step after them, with a cache of twice as many slots.

    `params` are the shapes of the model's parameters on `mesh`.
    """
    import jax
    import numpy as np

    from zoo.text.generation import programs

    assert model.decoder is not None
    fitted, decoder = model.sharding.fit(config, mesh), model.decoder(config, mesh)
    slots = min(2 * length, decoder.max_position_embeddings)
    count, prompt = math.ceil(rows / decoder.row_multiple) * decoder.row_multiple, min(length, slots)
    prefill, decode = programs(decoder, mesh, slots)
    each, ids = jax.ShapeDtypeStruct((count,), np.int32), jax.ShapeDtypeStruct((count, prompt), np.int32)
    _, cache = jax.eval_shape(prefill, params, ids, each)
    cache = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), cache)
    declared = model.sharding.declared(fitted, mesh, {"input_ids": ids}, card=True)
    yield ModelProgram("prefill", prefill, (params, ids, each), count, prompt, declared)
    yield ModelProgram("decode", decode, (params, each, each, cache), count, slots, declared)


def writing_of(
    model: Model, config: Any, mesh: Mesh, arguments: tuple[Any, ...], *, length: int = LENGTH
) -> Iterator[ModelProgram]:
    """Reading the inputs, and one step of writing, with a cache of `length` slots: of models that have an encoder.

    `arguments` are the shapes that the forward pass takes on `mesh`: parameters, and inputs by name.
    """
    import jax
    import numpy as np

    from zoo.text.encoder_decoder import programs

    assert model.writer is not None
    params, inputs = arguments
    fitted, writer = model.sharding.fit(config, mesh), model.writer(config, mesh)
    slots = min(length, writer.longest or length)
    encode, decode = programs(writer, mesh, slots)
    read = {name: inputs[name] for name in writer.inputs}
    shape = next(iter(read.values())).shape
    each = {"tokens": jax.ShapeDtypeStruct(shape[:1], np.int32)}
    results = jax.eval_shape(encode, params, read)
    memory, cache = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), results)
    tokens = each["tokens"]
    for name, function, taken, given in (
        ("encode", encode, (params, read), read),
        ("decode", decode, (params, tokens, tokens, memory, cache), each),
    ):
        declared = model.sharding.declared(fitted, mesh, given, card=True)
        size = slots if name == "decode" else shape[1] if "input_ids" in read else None
        yield ModelProgram(name, function, taken, shape[0], size, declared)


def problems_of(program: ModelProgram, made: CardProgram) -> list[str]:
    """What is wrong with what TT's compiler made of `program`, one line each; whether it fits is not asked.

    Tenstorrent's own compiler must take it too, nothing may run on the host, and the collectives must be as declared.
    """
    found = [str(finding) for finding in made.upstream]
    if made.host_ops:
        found.append(f"on the host: {_counts(made.host_ops)}")
    if dict(made.collectives) != dict(program.collectives):
        found.append(f"{_counts(made.collectives)}; the model declares {_counts(program.collectives)}")
    return [*found, *(f"not understood: {what}" for what in made.unknown)]


def _counts(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no collectives"


def layers_of(config: Any) -> int | None:
    """Layers that are alike, which ops are counted over: `num_hidden_layers`, or the blocks of all stages (`depths`).

    None for a config that has neither.
    """
    layers = getattr(config, "num_hidden_layers", None)
    depths = getattr(config, "depths", None)
    return layers if depths is None else sum(depths)


def systems_of(mesh: str) -> tuple[str, ...]:
    """Names of the systems whose usual meshes have `mesh` among them, else of the smallest that has its chips.

    ValueError if none has as many.
    """
    usual = tuple(name for name, system in SYSTEMS.items() if mesh in system.meshes)
    if usual:
        return usual
    chips = MeshShape.parse(mesh).chips
    smallest = smallest_system(chips)
    if smallest is None:
        raise ValueError(f"mesh {mesh} has {chips} chips, and no system has as many")
    return (smallest,)


def input_shapes(model: Model, config: Any, rows: int, length: int) -> dict[str, Any]:
    """Shapes of the inputs of `forward`: `rows` rows of the usual size; of `length` tokens, where they are tokens."""
    import jax

    architecture = model.architecture
    example = (architecture.usual or architecture.example)(config)
    tokens = min(length, getattr(config, "max_position_embeddings", length))

    def shape(value: Any) -> tuple[int, ...]:
        if "input_ids" in example and value.ndim == example["input_ids"].ndim:  # not the images beside texts
            return (rows, tokens, *value.shape[2:])
        return (rows, *value.shape[1:])

    return {name: jax.ShapeDtypeStruct(shape(value), value.dtype) for name, value in example.items()}


def _divided(rows: int, specs: Mapping[str, PartitionSpec], mesh: Mesh) -> int:
    """`rows`, or the next number that the chips divide over which the first axes of the inputs lie."""
    chips = 1
    for spec in specs.values():
        axes = spec[0] if len(spec) else None
        names = () if axes is None else (axes,) if isinstance(axes, str) else axes
        chips = math.lcm(chips, math.prod(mesh.shape[name] for name in names))
    return math.ceil(rows / chips) * chips
