"""What TT's compiler may say in a results document, for the tests of what reads one."""

from __future__ import annotations

from typing import Any

COMPILER = {"package": "jax-tt-plugin", "version": "0.1.3", "tt_mlir": "614f605f"}


def program(name: str = "forward", system: str = "n300", **changes: Any) -> dict[str, Any]:
    """The entry of a program that the compiler took, with `changes`."""
    return {
        "name": name,
        "system": system,
        "mesh": "1x2",
        "ok": True,
        "error": None,
        "ops": {"add": 2, "matmul": 18},
        "collectives": {"all-reduce": 2},
        "host_ops": {},
        "dram_peak_bytes": 3 * 2**30,
        "dram_bytes": 12 * 2**30,
        "fits": True,
        "flops": 1e9,
        "roofline_s": 1.5e-3,
        "upstream": [],
        **changes,
    }


def refusal(name: str = "forward", system: str = "n300", error: str = "stablehlo.fft at m.py:3: no") -> dict[str, Any]:
    """The entry of a program that the compiler refused."""
    unknown = dict.fromkeys(program().keys() - {"name", "system", "mesh", "ok", "error"})
    return {"name": name, "system": system, "mesh": "1x2", "ok": False, "error": error, **unknown}


def emulated(name: str = "forward", system: str = "n300", **changes: Any) -> dict[str, Any]:
    """The entry of a program that was emulated, with `changes`."""
    return {
        "name": name,
        "system": system,
        "mesh": "1x2",
        "numerics": "chip wormhole",
        "calls": 2,
        "exact_rel_l2": 2e-7,
        "exact_bound": 1e-4,
        "rel_l2": 2.5e-3,
        "pcc": 0.99999,
        "not_compared": None,
        **changes,
    }


def emulated_card(*entries: dict[str, Any]) -> dict[str, Any]:
    """The key ``card`` of a row whose programs were compiled, and emulated with these entries."""
    return card(*(program(entry["name"], entry["system"]) for entry in entries)) | {
        "emulated": {"build": "jax-tt-plugin 0.1.3 (tt-mlir 614f605f)", "programs": list(entries)}
    }


def card(*programs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The key ``card`` of a row with these programs."""
    systems = {entry["system"] for entry in programs}
    system = next(iter(systems)) if len(systems) == 1 else None
    return {"system": system, "compiler": COMPILER, "programs": list(programs), **more}
