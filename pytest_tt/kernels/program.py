"""A compiled program as `worker` reads it: ops, what they work on, and the attributes that say what they compute.

What the kernels are not known to do as the compiler means it is refused before anything runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.emulator.attributes import AttributeTextError, Opaque, parse
from pytest_tt.emulator.registry import HOW
from pytest_tt.kernels.worker import ELEMENTS, FUSED, OPS

if TYPE_CHECKING:
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.ttnn_module import Function, Op, Tensor

_NOT_COMPUTED = frozenset(["to_device", "from_device", "get_device", "deallocate"])
# Attributes of such an op have no part in what it gives.
_MOVES = _NOT_COMPUTED | {"to_memory_config", "to_layout", "typecast"}


class KernelsError(RuntimeError):
    """A program that is not run by real kernels, or did not run: one line."""


def described(program: CardProgram) -> dict[str, Any]:
    """`program` as JSON holds it. Raises KernelsError for one of several chips, and for what is not known of an op."""
    if program.mesh != "1x1":
        raise KernelsError(f"{program.name} is for mesh {program.mesh}: real kernels run here on one chip, mesh 1x1")
    module = program.module
    if module.unread:
        raise KernelsError(f"{program.name}: {module.unread[0]}: not understood")
    return {
        "main": module.main.name,
        "inputs": [_tensor(argument.type, f"argument {argument.name}") for argument in module.main.arguments],
        "functions": {name: _function(function) for name, function in module.functions.items()},
    }


def _function(function: Function) -> dict[str, Any]:
    return {
        "arguments": [argument.name for argument in function.arguments],
        "steps": [_step(op) for op in function.ops if op.short_name != "deallocate"],
        "returns": list(function.returned),
    }


def _step(op: Op) -> dict[str, Any]:
    step: dict[str, Any] = {"operands": list(op.operands), "results": list(op.results)}
    if op.short_name in ("load_cached", "call") and len(op.calls) == 1:
        return {**step, "function": op.calls[0]}
    place = f"{op.name} at {op.location.place}"
    if not op.name.startswith("ttnn.") or op.short_name not in OPS or len(op.results) > 1:
        raise KernelsError(f"{place}: not among the ops that are run by real kernels: {', '.join(sorted(OPS))}")
    known, _ = OPS[op.short_name]
    try:
        told = parse(op.attributes)
        attributes = {name: _plain(name, told[name]) for name in known if name in told}
    except AttributeTextError as error:
        raise KernelsError(f"{place}: {error}") from None
    unknown = sorted(set(told) - set(known) - HOW)
    if unknown and op.short_name not in _MOVES:
        raise KernelsError(f"{place}: attribute {unknown[0]}: expected only {', '.join(known) or 'none'}")
    step |= {"op": op.short_name, "attributes": attributes, "place": place}
    if op.short_name in _NOT_COMPUTED:
        return {**step, "shape": [], "element": "f32", "tile": False}
    return {**step, **_tensor(op.result_types[0], place)}


def _tensor(tensor: Tensor | None, place: str) -> dict[str, Any]:
    if tensor is None or tensor.layout is None or tensor.layout.element not in ELEMENTS:
        raise KernelsError(f"{place}: {tensor}: expected a tensor of {', '.join(ELEMENTS)} with a layout")
    layout = tensor.layout
    return {"shape": list(tensor.shape), "element": layout.element, "tile": layout.tile is not None}


def _plain(name: str, value: Any) -> Any:
    """A value as JSON has it: shapes as lists, a fused activation and a compute config by the names of their fields."""
    if isinstance(value, tuple):
        return [_plain(name, part) for part in value]
    if not isinstance(value, Opaque):
        return value
    fields = value.fields if name == "compute_config" or name in FUSED else None
    if fields is None:
        return list(value.integers)
    if name in FUSED and set(fields) != {"op_type"}:
        raise AttributeTextError(f"{name}: {value.text}: expected an activation without parameters")
    return fields
