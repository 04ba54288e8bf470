"""Parameters of flax modules: initialised on the host, as the chips lack usable random numbers, then placed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.compiler.memory import memory_for
from pytest_tt.params.sharding import Leaf, ParamsError, is_layout, key_name, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import jax
    from jax.sharding import Mesh, NamedSharding

    from pytest_tt.params.sharding import LogicalRules


def init_params(module: Any, *inputs: Any, mesh: Mesh, host: jax.Device, rng: Any = 0, shardings: Any = None) -> Any:
    """The parameters of a flax module, initialised on `host` under jit, then placed on `mesh`.

    They are bit-identical on every mesh; only the placement uses the chips.
    `module`: a linen module (`module.init(rng, *inputs)`; the variables come back unboxed), an nnx Module
    class or a callable with a parameter `rngs` (`module(*inputs, rngs=nnx.Rngs(rng))`), a callable without it
    (called on the host, not under jit), or an existing nnx module: a copy of it is placed.
    `inputs`: arrays from anywhere, jax.ShapeDtypeStruct for zeros; everything else (bool, int, None) is static.
    `rng`: a seed, a PRNG key, or a dict of them per stream.
    `shardings`: None for the module's own partitioning metadata (replicated without any), a tree of
    PartitionSpec, path rules [(regex, PartitionSpec), ...], or logical axis rules
    [(name, mesh axis or None), ...]. Paths are like "params/Dense_0/kernel", or "linear/kernel" in nnx.
    Inside `jax.set_mesh` the module sees a mesh of only the host, with the same axis names.
    Raises ParamsError (a ValueError) if `module` is not a module and for shardings that do not fit, TTMemoryError
    if the host or the chips have too little memory; exceptions of the module itself pass through.
    """
    try:
        import flax.linen as nn
        from flax import nnx
    except ModuleNotFoundError as error:
        raise ParamsError(f"cpu_init_params needs flax ({error}): pip install flax") from None

    if isinstance(module, nn.Module):
        return _init_linen(module, inputs, mesh, host, rng, shardings)
    if isinstance(module, nnx.Pytree):
        if inputs:
            raise ParamsError(f"the {type(module).__name__} exists already: inputs are for a class")
        return _place_nnx(module, mesh, shardings)
    if isinstance(module, type) and issubclass(module, nn.Module):
        raise ParamsError(f"{module.__name__} is a linen class: pass an instance, {module.__name__}(...)")
    if not callable(module):
        raise ParamsError(f"{module!r} is not a module: expected a flax linen or nnx module, or an nnx class")
    return _init_nnx(module, inputs, mesh, host, rng, shardings)


def _init_linen(module: Any, inputs: Sequence[Any], mesh: Mesh, host: jax.Device, rng: Any, shardings: Any) -> Any:
    """`module.init` on the host; returns its variables, unboxed, on the mesh."""
    import jax
    from flax.core import meta

    leaves: list[Leaf] = []
    treedef: Any = None

    def init(rngs: Any, arguments: Sequence[Any]) -> list[Any]:
        nonlocal treedef
        variables = module.init(rngs, *arguments)
        values, plain = [], []
        boxed, structure = jax.tree_util.tree_flatten_with_path(variables, is_leaf=meta.is_axis_metadata)
        for keys, box in boxed:
            value = _unbox(box)
            plain.append(value)
            for below, array in jax.tree_util.tree_flatten_with_path(value)[0]:
                path = tuple(key_name(key) for key in (*keys, *below))
                leaves.append(_linen_leaf(path, np.shape(array), box, mesh))
                values.append(array)
        treedef = jax.tree.structure(jax.tree.unflatten(structure, plain))
        return values

    def plan() -> list[NamedSharding]:
        return resolve(leaves, shardings, mesh, root="params")

    with _on_host(host):
        values, placements = _run(init, _rngs(rng, host), inputs, host, plan, static_numpy=False)
    return jax.tree.unflatten(treedef, _place(values, placements))


def _init_nnx(
    build: Callable[..., Any], inputs: Sequence[Any], mesh: Mesh, host: jax.Device, rng: Any, shardings: Any
) -> Any:
    """The nnx module that `build` returns, initialised on the host, with its state on the mesh."""
    import jax
    from flax import nnx

    name = getattr(build, "__name__", repr(build))

    def check(made: Any) -> Any:
        if not isinstance(made, nnx.Pytree):
            raise ParamsError(f"{name} is not a module: calling it gave {type(made).__name__}, expected an nnx module")
        return made

    if not _takes_rngs(build):
        with _on_host(host):
            made = check(build(*inputs))
        return _place_nnx(made, mesh, shardings)

    leaves: list[Leaf] = []
    graph: Any = None
    treedef: Any = None

    def init(rngs: Any, arguments: Sequence[Any]) -> list[Any]:
        nonlocal graph, treedef
        streams = nnx.Rngs(**rngs) if isinstance(rngs, Mapping) else nnx.Rngs(rngs)
        graph, state = nnx.split(check(build(*arguments, rngs=streams)))
        leaves.extend(_nnx_leaves(state))
        values, treedef = jax.tree.flatten(state)
        return list(values)

    def plan() -> list[NamedSharding]:
        return resolve(leaves, _plain_tree(shardings), mesh)

    with _on_host(host):
        values, placements = _run(init, _rngs(rng, host), inputs, host, plan, static_numpy=True)
    return nnx.merge(graph, jax.tree.unflatten(treedef, _place(values, placements)))


def _place_nnx(module: Any, mesh: Mesh, shardings: Any) -> Any:
    """A copy of an nnx module with its state on the mesh."""
    import jax
    from flax import nnx

    graph, state = nnx.split(module)
    leaves = _nnx_leaves(state)
    values, treedef = jax.tree.flatten(state)
    for leaf, value in zip(leaves, values, strict=True):
        if isinstance(value, jax.ShapeDtypeStruct):
            raise ParamsError(f"{leaf.path} has a shape but no values (nnx.eval_shape): pass the class, or a module")
    placements = resolve(leaves, _plain_tree(shardings), mesh)
    return nnx.merge(graph, jax.tree.unflatten(treedef, _place(list(values), placements)))


def _run(
    init: Callable[[Any, Sequence[Any]], list[Any]],
    rngs: Any,
    inputs: Sequence[Any],
    host: jax.Device,
    plan: Callable[[], list[NamedSharding]],
    *,
    static_numpy: bool,
) -> tuple[list[Any], list[NamedSharding]]:
    """What `init` returns, computed on the host; `plan` is called between tracing and computing.

    So a bad sharding of a large model is found before its weights are computed. Arrays among the inputs become
    arguments of the compiled program, everything else is static. `static_numpy` makes numpy arrays static too,
    which are configuration for a constructor.
    """
    import jax
    import jax.numpy as jnp

    flat, treedef = jax.tree.flatten(tuple(inputs))
    kinds = (jax.Array,) if static_numpy else (jax.Array, np.ndarray, np.generic)
    arrays = {at: _to_host(value, host) for at, value in enumerate(flat) if isinstance(value, kinds)}

    def traced(rngs: Any, arrays: dict[int, Any]) -> list[Any]:
        full = [arrays.get(at, value) for at, value in enumerate(flat)]
        zeros = [jnp.zeros(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x for x in full]
        return init(rngs, jax.tree.unflatten(treedef, zeros))

    # jit removes the forward pass inside module.init as dead code, and with it every sharding constraint to the
    # chips' mesh that a module may have; the rest runs where its arguments are.
    trace = jax.jit(traced).trace(rngs, arrays)
    placements = plan()
    compiled = trace.lower().compile()
    with memory_for("on the host for the parameters that cpu_init_params initialises", trace.out_info):
        return jax.block_until_ready(compiled(rngs, arrays)), placements


@contextmanager
def _on_host(host: jax.Device) -> Iterator[None]:
    """Run everything that is not placed on `host`, and keep nnx from sharding variables."""
    import flax
    import jax
    from flax import nnx
    from jax.sharding import Mesh

    with ExitStack() as stack:
        stack.enter_context(jax.default_device(host))
        around = jax.sharding.get_abstract_mesh()
        if not around.empty:
            # Inside jax.set_mesh(chips) jit refuses arguments from elsewhere.
            devices = np.array([host]).reshape((1,) * len(around.axis_names))
            alone = Mesh(devices, around.axis_names, axis_types=around.axis_types)
            stack.enter_context(jax.set_mesh(alone))
        # nnx constrains annotated variables when they are created, and fails without a mesh that has those axes.
        if hasattr(nnx, "use_eager_sharding"):
            stack.enter_context(nnx.use_eager_sharding(False))
        else:
            stack.enter_context(flax.config.temp_flip_flag("always_shard_variable", False))
        yield


def _place(values: list[Any], placements: Sequence[NamedSharding]) -> list[Any]:
    """The host arrays on the mesh, each freed once it is placed; empties `values`.

    They are placed as numpy views, which simulated chips share: a replicated parameter is in memory only once.
    """
    import jax

    shapes = [jax.ShapeDtypeStruct(np.shape(value), value.dtype) for value in values if hasattr(value, "dtype")]
    with memory_for("on the host for the parameters that cpu_init_params places", shapes):
        jax.block_until_ready(values)
    placed: list[Any] = []
    values.reverse()
    with memory_for("on the chips for the parameters that cpu_init_params places (shardings spread them)", shapes):
        for placement in placements:
            value = values.pop()
            if not isinstance(value, jax.Array):
                value = np.array(value)  # a copy: the caller may write to theirs
            elif not _is_key(value):
                value = np.asarray(value)
            placed.append(jax.device_put(value, placement))
        jax.block_until_ready(placed)
    return placed


def _to_host(value: Any, host: jax.Device) -> Any:
    """An array from anywhere, committed to the host; nothing runs on its old devices."""
    import jax

    with memory_for("for an input of cpu_init_params", value):
        if isinstance(value, jax.Array) and not _is_key(value) and value.devices() != {host}:
            value = np.asarray(value.block_until_ready())
        return jax.device_put(value, host)


def _is_key(value: jax.Array) -> bool:
    import jax

    return bool(jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key))


def _rngs(rng: Any, host: jax.Device) -> Any:
    """A typed key on the host, or a dict of them per stream, from seeds and keys."""
    import jax

    if isinstance(rng, Mapping):
        return {str(stream): _rngs(one, host) for stream, one in rng.items()}
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        with jax.default_device(host):
            return jax.device_put(jax.random.key(rng), host)
    if isinstance(rng, (jax.Array, np.ndarray)):
        there = _to_host(rng, host)
        return there if _is_key(there) else jax.random.wrap_key_data(there)
    raise ParamsError(f"rng={rng!r}: expected an int seed, a PRNG key, or a dict of them per rng stream")


def _takes_rngs(build: Callable[..., Any]) -> bool:
    """Whether `build` has a parameter `rngs` (or **kwargs, which classes pass on) that is still free."""
    if "rngs" in (getattr(build, "keywords", None) or {}):  # functools.partial(build, rngs=...)
        return False
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == "rngs" or p.kind is p.VAR_KEYWORD for p in parameters)


def _unbox(box: Any) -> Any:
    """The value in flax's metadata boxes, without the sharding constraints that flax's unbox may apply."""
    from flax.core import meta

    while meta.is_axis_metadata(box):
        box = box.unbox(apply_constraint=False) if isinstance(box, meta.Partitioned) else box.unbox()
    return box


def _linen_leaf(keys: tuple[str, ...], shape: tuple[int, ...], box: Any, mesh: Mesh) -> Leaf:
    """One array of linen variables with the axis names of its box."""
    import flax.linen as nn

    if not hasattr(box, "get_partition_spec"):
        return Leaf(keys, shape)
    names, rules = tuple(box.get_partition_spec()), tuple(nn.get_logical_axis_rules())
    if isinstance(box, nn.LogicallyPartitioned):
        return Leaf(keys, shape, names, True, rules if box.rules is None else box.rules)
    # nn.with_partitioning names mesh axes; the rules in force apply to other names.
    return Leaf(keys, shape, names, False, tuple(rule for rule in rules if rule[0] not in mesh.axis_names))


def _nnx_leaves(state: Any) -> list[Leaf]:
    """The arrays of an nnx state in the order of jax.tree.leaves, with their variables' axis names."""
    import flax.linen as nn
    import jax
    from flax import nnx

    context: LogicalRules = tuple(nn.get_logical_axis_rules())
    leaves = []
    for keys, variable in jax.tree_util.tree_flatten_with_path(state, is_leaf=lambda x: isinstance(x, nnx.Variable))[0]:
        path = tuple(key_name(key) for key in keys)
        metadata = variable.get_metadata() if isinstance(variable, nnx.Variable) else {}
        given = metadata.get("out_sharding") or metadata.get("sharding_names")  # the latter until flax 0.12.0
        given = getattr(given, "sharding", given)  # a Format holds a NamedSharding, and that a PartitionSpec
        given = getattr(given, "spec", given)
        names = tuple(given) if given else None
        rules = (*(metadata.get("sharding_rules") or ()), *context)
        leaves += [Leaf(path, np.shape(array), names, False, rules) for array in jax.tree.leaves(variable)]
    return leaves


def _plain_tree(shardings: Any) -> Any:
    """A tree of specs, taken out of the nnx variables in which nnx.get_partition_spec returns them."""
    import jax
    from flax import nnx

    if not isinstance(shardings, nnx.State):
        return shardings

    def spec(variable: Any) -> Any:
        return next((x for x in jax.tree.leaves(variable, is_leaf=is_layout) if is_layout(x)), None)

    return nnx.to_pure_dict(jax.tree.map(spec, shardings, is_leaf=lambda x: isinstance(x, nnx.Variable)))
