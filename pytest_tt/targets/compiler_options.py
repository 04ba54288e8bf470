"""Options of the TT compiler, checked before they reach it.

The real plugin reads the keys it knows, silently ignores all others, and aborts the process on a bad boolean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_tt.text import closest

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")

_BOOL: tuple[str, ...] = ("true", "false")
_TEXT: tuple[str, ...] = ()

# Keys read by tt-xla pjrt_implementation/src/api/compile_options.cc (August 2026) with the values each
# accepts: _BOOL, _TEXT for any, or the list itself. Two of them have hyphens there, so they have them here.
KNOWN: dict[str, tuple[str, ...]] = {
    "optimization_level": ("0", "1", "2"),
    "experimental_weight_dtype": ("", "bfp_bf8", "bfp_bf4"),
    "experimental-kv-cache-dtype": ("bfp_bf8",),  # bfp_bf4 is not implemented: tt-xla#5011
    "enable_activation_dtype_lowering": _BOOL,
    "math_fidelity": ("lofi", "hifi2", "hifi3", "hifi4", "ttnn_default"),
    "fp32_dest_acc_en": _BOOL,
    "experimental_enable_fusing_conv2d_with_multiply_pattern": _BOOL,
    "backend": ("default", "ttnn_flatbuffer", "codegen_cpp", "codegen_py", "codegen_load_py"),
    "export_path": _TEXT,
    "export_model_name": _TEXT,
    "enable_trace": _BOOL,
    "export_tensors": _BOOL,
    "enable_const_eval": _BOOL,
    "enable_const_eval_on_cpu": _BOOL,
    "enable_const_eval_inputs_to_system_memory": _BOOL,
    "experimental_enable_permute_matmul_fusion": _BOOL,
    "codegen_try_recover_structure": _BOOL,
    "codegen_split_files": _BOOL,
    "experimental-enable-dram-space-saving-optimization": _BOOL,
    "enable_create_d2m_subgraphs": _BOOL,
    "ttnn_perf_metrics_enabled": _BOOL,
    "ttnn_perf_metrics_output_file": _TEXT,
    "dry_run": _BOOL,
    "target_module": _BOOL,
}

# Keys that a build of the compiler does not have, by the package that it comes with: it refuses a program with one
# ("No such compile option"). Tried with jax-tt-plugin 0.1.3, November 2026.
_LACKING: dict[str, tuple[str, ...]] = {"jax-tt-plugin": ("enable_activation_dtype_lowering", "target_module")}

# How jax 0.11 and later spell the levels, which earlier versions take as numbers.
_LEVELS = {"O0": "0", "O1": "1", "O2": "2"}

# XLA's own options: flags, which all have this prefix, and those that jax sets by other names.
_XLA_FLAG = "xla_"
_XLA_OTHERS = ("exec_time_optimization_effort", "memory_fitting_effort", "memory_fitting_level", "fdo_profile")

# Keys of earlier releases and tutorials, and what replaces them.
GONE: dict[str, str] = {
    "enable_optimizer": "use optimization_level=1",
    "enable_memory_layout_analysis": "use optimization_level=2",
    "enable_l1_interleaved": "use optimization_level=2, which chooses L1 layouts itself",
    "enable_bfp8_conversion": "use experimental_weight_dtype=bfp_bf8",
    "enable_weight_bfp8_conversion": "use experimental_weight_dtype=bfp_bf8",
    "experimental_enable_weight_bfp8_conversion": "use experimental_weight_dtype=bfp_bf8",
    "enable_fusing_conv2d_with_multiply_pattern": (
        "use optimization_level=1, or experimental_enable_fusing_conv2d_with_multiply_pattern=true"
    ),
}


def parse(text: str) -> tuple[str, str]:
    """Split ``KEY=VALUE`` at its first ``=``. Raises ValueError without a key or ``=``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"{text!r} is not a compiler option: expected KEY=VALUE, e.g. optimization_level=1")
    return key.strip(), value.strip()


def check(options: Mapping[str, object]) -> dict[str, str]:
    """`options` as the strings that the compiler reads, booleans as ``true`` and ``false``.

    Values may be strings, booleans or integers. Raises ValueError that names the key, the value and what is
    accepted.
    """
    return {key: _value(key, value) for key, value in options.items()}


def split(options: object) -> tuple[dict[str, str], dict[str, Any]]:
    """The ``compiler_options`` of jax.jit, split: those of TT's compiler, checked, and XLA's own, unchanged.

    Raises ValueError for a key or value that TT's compiler does not have, TypeError if `options` is not a dict.
    """
    if not isinstance(options, Mapping):
        raise TypeError(f'compiler_options={options!r}: expected a dict such as {{"optimization_level": 1}}')
    xla = {key: value for key, value in options.items() if _is_xla(key)}
    return check({key: value for key, value in options.items() if key not in xla}), xla


def only_xla(options: Mapping[str, Any]) -> dict[str, Any]:
    """XLA's own of the ``compiler_options``; raises ValueError for options that TT's compiler does not take."""
    tt, xla = split(options)
    check_together(tt)
    return xla


def _is_xla(key: object) -> bool:
    return isinstance(key, str) and (key.startswith(_XLA_FLAG) or key in _XLA_OTHERS)


def check_together(options: Mapping[str, str]) -> None:
    """Raise ValueError for options that are valid one by one, but make the compiler abort together."""
    backend = options.get("backend", "default")
    if backend.startswith("codegen") and not options.get("export_path"):
        raise ValueError(f"compiler option backend={backend} needs export_path=DIR, the directory for its code")
    if options.get("enable_create_d2m_subgraphs") == "true" and options.get("optimization_level", "0") == "0":
        raise ValueError("compiler option enable_create_d2m_subgraphs=true needs optimization_level=1 or 2")


def check_build(options: Mapping[str, str], package: str) -> None:
    """Raise ValueError for an option that the compiler of `package` does not have."""
    for key in options:
        if key in _LACKING.get(package, ()):
            raise ValueError(f"compiler option {key}: {package} does not have it, pjrt-plugin-tt does; leave it out")


def _value(key: object, value: object) -> str:
    if not isinstance(key, str) or key not in KNOWN:
        raise ValueError(_unknown_key(key))
    accepted = KNOWN[key]
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int | str):
        text = str(value)
        if key == "optimization_level":
            text = _LEVELS.get(text.upper(), text)
    else:
        text = None
    if text is not None and accepted is _BOOL:
        folded = text.lower()
        if folded in _TRUE:
            return "true"
        if folded in _FALSE:
            return "false"
    elif text is not None and not isinstance(value, bool):
        if accepted is _TEXT:
            if text:
                return text
        elif text.lower() in accepted:
            return text.lower()
    raise ValueError(f"compiler option {key}: {value!r} is not accepted: expected {_expected(accepted)}")


def _expected(accepted: tuple[str, ...]) -> str:
    if accepted is _TEXT:
        return "a text"
    names = [value or "an empty text" for value in accepted]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _unknown_key(key: object) -> str:
    if isinstance(key, str) and key in GONE:
        return f"compiler option {key} does not exist any more (the compiler would ignore it): {GONE[key]}"
    near = closest(str(key), [*KNOWN, *GONE])
    if near is None:
        hint = f": expected one of {', '.join(KNOWN)}"
    elif near in GONE:
        hint = f"; {near} does not exist any more: {GONE[near]}"
    else:
        hint = f": did you mean {near}?"
    return f"{key!r} is not a TT compiler option (the compiler would ignore it){hint}"
