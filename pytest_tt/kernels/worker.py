"""Runs a program with ttnn, in the interpreter that has it: ``python worker.py DIRECTORY``.

This file uses nothing of pytest-tt, so that the interpreter needs only ttnn. DIRECTORY holds ``program.json``, as
`pytest_tt.kernels.program` writes it, and ``inputs.npz``, by the names of the program's arguments; the outputs are
written to ``outputs.npz``, by their numbers.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Run = Callable[["Step", Sequence[Any]], Any]

ELEMENTS = {
    "f32": "float32", "bf16": "bfloat16", "bfp_bf8": "bfloat8_b", "bfp_bf4": "bfloat4_b", "si32": "int32",
    "u32": "uint32", "u16": "uint16",
}  # fmt: skip
"""Element types of tensors, and what ttnn calls them."""

ELEMENTWISE = (
    "abs", "cos", "erf", "exp", "gelu", "log", "log1p", "logical_not", "neg", "reciprocal", "relu", "rsqrt", "sigmoid",
    "sign", "silu", "sin", "sqrt", "tan", "tanh",
)  # fmt: skip
BINARY = (
    "add", "subtract", "multiply", "divide", "pow", "maximum", "minimum", "ge", "gt", "le", "lt", "eq", "ne",
    "logical_and", "logical_or",
)  # fmt: skip
FUSED = ("activations", "input_tensor_a_activations", "input_tensor_b_activations")
WITH_DTYPE = ("add", "subtract", "multiply")
FIDELITIES = {"lofi": "LoFi", "hifi2": "HiFi2", "hifi3": "HiFi3", "hifi4": "HiFi4"}


class Step:
    """One op of the program, as the file has it.

    attributes: those that `OPS` names, of which there is one in the text. shape, element, tile: of the result.
    """

    def __init__(self, entry: dict[str, Any], ttnn: Any, device: Any) -> None:
        self.op: str = entry["op"]
        self.attributes: dict[str, Any] = entry["attributes"]
        self.shape: list[int] = entry["shape"]
        self.ttnn, self.device = ttnn, device
        self.dtype = getattr(ttnn, ELEMENTS[entry["element"]])
        self.layout = ttnn.TILE_LAYOUT if entry["tile"] else ttnn.ROW_MAJOR_LAYOUT

    @property
    def config(self) -> dict[str, Any]:
        """The op's math fidelity and accumulation, as keyword arguments."""
        told = self.attributes.get("compute_config")
        if told is None:
            return {}
        names = ("math_approx_mode", "fp32_dest_acc_en", "packer_l1_acc")
        flags = {name: told[name] == "true" for name in names if name in told}
        fidelity = getattr(self.ttnn.MathFidelity, FIDELITIES[told.get("math_fidelity", "hifi4")])
        # The name is that of the first chip that had it: Blackhole takes the same.
        return {"compute_kernel_config": self.ttnn.WormholeComputeKernelConfig(math_fidelity=fidelity, **flags)}

    def unary(self, told: dict[str, str]) -> Any:
        """An activation that is part of another op."""
        kind = getattr(self.ttnn.UnaryOpType, told["op_type"].upper())
        return self.ttnn.UnaryWithParam(kind)


OPS: dict[str, tuple[tuple[str, ...], Run]] = {}
"""By an op's short name: the attributes that say what it computes, and what runs it."""


def _op(*names: str, attributes: str = "") -> Callable[[Run], Run]:
    def register(run: Run) -> Run:
        OPS.update({name: (tuple(attributes.split()), run) for name in names})
        return run

    return register


@_op(*ELEMENTWISE)
def _elementwise(step: Step, operands: Sequence[Any]) -> Any:
    return getattr(step.ttnn, step.op)(operands[0])


@_op(*BINARY, attributes=" ".join(FUSED))
def _binary(step: Step, operands: Sequence[Any]) -> Any:
    settings: dict[str, Any] = {name: [step.unary(told) for told in step.attributes.get(name, [])] for name in FUSED}
    if step.op in WITH_DTYPE:
        settings["dtype"] = step.dtype
    return getattr(step.ttnn, step.op)(*operands, **settings)


@_op("where")
def _where(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.where(*operands)


@_op("matmul", "linear", attributes="transpose_a transpose_b activation compute_config")
def _product(step: Step, operands: Sequence[Any]) -> Any:
    told = step.attributes
    settings = {
        "transpose_a": told.get("transpose_a", False), "transpose_b": told.get("transpose_b", False),
        "dtype": step.dtype, **step.config,
    }  # fmt: skip
    if told.get("activation") is not None:
        settings["activation"] = told["activation"]
    if len(operands) == 3:
        return step.ttnn.linear(operands[0], operands[1], bias=operands[2], **settings)
    return getattr(step.ttnn, step.op)(*operands, **settings)


@_op("sum", "mean", "max", "min", attributes="dim_arg keep_dim compute_config")
def _reduction(step: Step, operands: Sequence[Any]) -> Any:
    told = step.attributes
    run = getattr(step.ttnn, step.op)
    return run(operands[0], dim=told.get("dim_arg"), keepdim=told.get("keep_dim", False), **step.config)


@_op("softmax", attributes="dimension numericStable compute_config")
def _softmax(step: Step, operands: Sequence[Any]) -> Any:
    told = step.attributes
    stable = told.get("numericStable", False)
    return step.ttnn.softmax(operands[0], dim=told["dimension"], numeric_stable=stable, **step.config)


@_op("layer_norm", "rms_norm", attributes="epsilon compute_config operandSegmentSizes")
def _norm(step: Step, operands: Sequence[Any]) -> Any:
    weights = dict(zip(("weight", "bias"), operands[1:], strict=False))
    return getattr(step.ttnn, step.op)(operands[0], epsilon=step.attributes["epsilon"], **weights, **step.config)


@_op("reshape", attributes="shape")
def _reshape(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.reshape(operands[0], step.shape)


@_op("permute", attributes="permutation")
def _permute(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.permute(operands[0], step.attributes["permutation"])


@_op("transpose", attributes="dim0 dim1")
def _transpose(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.transpose(operands[0], step.attributes["dim0"], step.attributes["dim1"])


@_op("repeat", attributes="repeat_dims")
def _repeat(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.repeat(operands[0], step.attributes["repeat_dims"])


@_op("concat", attributes="dim")
def _concat(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.concat(list(operands), dim=step.attributes["dim"])


@_op("slice_static", attributes="begins ends step")
def _slice(step: Step, operands: Sequence[Any]) -> Any:
    told = step.attributes
    return step.ttnn.slice(operands[0], told["begins"], told["ends"], told["step"])


@_op("full", attributes="fill_value shape")
def _full(step: Step, operands: Sequence[Any]) -> Any:
    return _filled(step, step.attributes["fill_value"])


@_op("zeros", "ones", attributes="shape")
def _constant(step: Step, operands: Sequence[Any]) -> Any:
    return _filled(step, float(step.op == "ones"))


def _filled(step: Step, value: float) -> Any:
    shape = step.shape or [1]
    return step.ttnn.full(shape, value, dtype=step.dtype, layout=step.layout, device=step.device)


@_op("typecast")
def _typecast(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.typecast(operands[0], step.dtype)


@_op("to_layout")
def _to_layout(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.to_layout(operands[0], step.layout)


@_op("to_memory_config")
def _to_memory_config(step: Step, operands: Sequence[Any]) -> Any:
    return step.ttnn.to_memory_config(operands[0], step.ttnn.DRAM_MEMORY_CONFIG)


@_op("to_device", "from_device", "get_device", "deallocate")
def _nothing(step: Step, operands: Sequence[Any]) -> Any:
    """Everything stays on the device until this process ends."""
    return operands[0] if operands else None


def call(program: dict[str, Any], name: str, given: Sequence[Any], ttnn: Any, device: Any) -> list[Any]:
    """What function `name` of the program returns."""
    function = program["functions"][name]
    values = dict(zip(function["arguments"], given, strict=True))
    for entry in function["steps"]:
        operands = [values[operand] for operand in entry["operands"] if values[operand] is not None]
        if "function" in entry:
            results = call(program, entry["function"], operands, ttnn, device)
            values.update(zip(entry["results"], results, strict=True))
            continue
        print("op", entry["place"], flush=True)
        _, run = OPS[entry["op"]]
        result = run(Step(entry, ttnn, device), operands)
        values.update(dict.fromkeys(entry["results"], result))
    return [values[value] for value in function["returns"]]


def main(directory: Path) -> None:
    """Run the program in `directory`."""
    import numpy as np

    ttnn: Any = import_module("ttnn")
    program = json.loads((directory / "program.json").read_text(encoding="utf-8"))
    device = ttnn.open_device(device_id=0)
    given = []
    with np.load(directory / "inputs.npz") as arrays:
        for number, entry in enumerate(program["inputs"]):
            tensor = ttnn.Tensor(np.ascontiguousarray(arrays[str(number)]), getattr(ttnn, ELEMENTS[entry["element"]]))
            layout = ttnn.TILE_LAYOUT if entry["tile"] else ttnn.ROW_MAJOR_LAYOUT
            given.append(ttnn.to_device(ttnn.to_layout(tensor, layout), device))
    outputs = call(program, program["main"], given, ttnn, device)
    np.savez(directory / "outputs.npz", **{str(number): _read(ttnn, value) for number, value in enumerate(outputs)})
    ttnn.close_device(device)


def _read(ttnn: Any, tensor: Any) -> Any:
    """As NumPy's, floating ones as float32."""
    tensor = ttnn.from_device(tensor)
    if tensor.dtype in (ttnn.bfloat16, ttnn.bfloat8_b, ttnn.bfloat4_b):
        tensor = ttnn.to_dtype(tensor, ttnn.float32)
    return ttnn.to_layout(tensor, ttnn.ROW_MAJOR_LAYOUT).to_numpy()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
