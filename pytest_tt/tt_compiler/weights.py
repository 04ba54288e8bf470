"""Which arguments of a program are a model's weights, and how its module tells TT's compiler.

The compiler converts what it is told to be a parameter once, ahead of the calls (const-eval), and
``experimental_weight_dtype`` acts on nothing else; an argument that is not marked is converted at every call.
Tenstorrent's own plugin marks all variables that are passed to ``flax.linen.Module.apply``
(tt-xla python_package/jax_plugin_tt/monkeypatch.py); other builds of it mark none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Chosen: TypeAlias = int | str | Sequence[int | str] | None
"""Arguments that hold weights: positions or names, one or several. None: those that hold a linen module's variables."""

TARGET = "tt.mark_argument"
"""The custom call that marks an argument; the compiler takes it out again before anything else."""

TYPE_KEY, NAME_KEY = "ttcore.argument_type", "ttir.name"


def weights_of(
    args: Sequence[Any], kwargs: Mapping[str, Any], chosen: Chosen = None, names: Sequence[str] = ()
) -> dict[int, str]:
    """The weights among the leaves of `args` and `kwargs`: number, as jax.jit counts them, to path.

    Where nothing is `chosen`, an argument that is a mapping with a key ``params`` holds weights, as the variables of a
    linen module are. `names`: of the positional arguments. Raises ValueError for a choice that is not an argument.
    """
    import jax

    found = _chosen(args, kwargs, chosen, names)
    pairs = jax.tree_util.tree_flatten_with_path((tuple(args), dict(kwargs)))[0]
    numbered = {}
    for number, (path, _) in enumerate(pairs):
        key = getattr(path[1], "idx", getattr(path[1], "key", None))
        if key in found:
            name = names[key] if isinstance(key, int) and key < len(names) else str(key)
            below = jax.tree_util.keystr(path[2:], simple=True, separator="/")
            numbered[number] = f"{name}/{below}" if below else name
    return numbered


def _chosen(
    args: Sequence[Any], kwargs: Mapping[str, Any], chosen: Chosen, names: Sequence[str]
) -> frozenset[int | str]:
    """Positions and keywords of the arguments that hold weights."""
    given = [*range(len(args)), *kwargs]
    if chosen is None:
        return frozenset(key for key in given if _is_variables(args[key] if isinstance(key, int) else kwargs[key]))
    found: set[int | str] = set()
    for one in (chosen,) if isinstance(chosen, int | str) else chosen:
        key = names.index(one) if isinstance(one, str) and one in names and one not in kwargs else one
        key = key + len(args) if isinstance(key, int) and key < 0 else key
        if key not in given:
            known = ", ".join([*(names[at] if at < len(names) else str(at) for at in range(len(args))), *kwargs])
            raise ValueError(f"weights: {one!r} is not an argument of this call: expected some of {known}")
        found.add(key)
    return frozenset(found)


def _is_variables(argument: Any) -> bool:
    return isinstance(argument, Mapping) and "params" in argument


def marked(module: Any, weights: Mapping[int, str]) -> Any:
    """The StableHLO `module` of jax, or a copy in which arguments of ``main`` are marked, by their numbers.

    Everything that used an argument then uses what the mark gives, which is the same value.
    """
    from jax.extend.mlir import ir

    if not weights:
        return module
    with module.context, ir.Location.unknown():
        copy = module.operation.clone()
        operations = copy.regions[0].blocks[0].operations
        main = next(op for op in operations if op.operation.name == "func.func" and op.name.value == "main")
        block = main.regions[0].blocks[0]
        for number, name in weights.items():
            argument = block.arguments[number]
            about = {TYPE_KEY: ir.StringAttr.get("parameter"), NAME_KEY: ir.StringAttr.get(name)}
            with ir.InsertionPoint.at_block_begin(block):
                mark = ir.Operation.create(
                    "stablehlo.custom_call",
                    results=[argument.type],
                    operands=[argument],
                    attributes={
                        "call_target_name": ir.StringAttr.get(TARGET),
                        "mhlo.frontend_attributes": ir.DictAttr.get(about),
                    },
                )
            argument.replace_all_uses_except(mark.result, mark)
    return copy
