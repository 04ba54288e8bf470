"""TT compiler options are refused here, where the compiler would ignore them or abort."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tt.targets.compiler_options import (
    GONE,
    KNOWN,
    check,
    check_build,
    check_together,
    only_xla,
    parse,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("optimization_level=1", ("optimization_level", "1")),
        (" enable_trace = true ", ("enable_trace", "true")),
        ("export_path=a=b", ("export_path", "a=b")),
        ("experimental_weight_dtype=", ("experimental_weight_dtype", "")),
    ],
)
def test_parse(text: str, pair: tuple[str, str]) -> None:
    assert parse(text) == pair


@pytest.mark.parametrize("text", ["", "optimization_level", "=1", " =1"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"{text!r} is not a compiler option: expected KEY=VALUE")


def test_values_become_what_the_compiler_reads() -> None:
    given = {
        "optimization_level": 2,
        "enable_trace": True,
        "fp32_dest_acc_en": "NO",
        "enable_const_eval": 1,
        "math_fidelity": "HiFi4",
        "experimental_weight_dtype": "",
        "experimental-kv-cache-dtype": "bfp_bf8",
        "export_path": "Some/Dir",
        "export_model_name": 7,
    }
    assert check(given) == {
        "optimization_level": "2",
        "enable_trace": "true",
        "fp32_dest_acc_en": "false",
        "enable_const_eval": "true",
        "math_fidelity": "hifi4",
        "experimental_weight_dtype": "",
        "experimental-kv-cache-dtype": "bfp_bf8",
        "export_path": "Some/Dir",
        "export_model_name": "7",
    }
    assert check({}) == {}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("optimization_level", 3, "expected 0, 1 or 2"),
        ("optimization_level", True, "expected 0, 1 or 2"),
        ("optimization_level", "", "expected 0, 1 or 2"),
        ("enable_trace", "maybe", "expected true or false"),
        ("enable_trace", 2, "expected true or false"),
        ("enable_trace", None, "expected true or false"),
        ("enable_trace", 1.0, "expected true or false"),
        ("experimental_weight_dtype", "bf8", "expected an empty text, bfp_bf8 or bfp_bf4"),
        ("experimental-kv-cache-dtype", "bfp_bf4", "expected bfp_bf8"),
        ("math_fidelity", "high", "expected lofi, hifi2, hifi3, hifi4 or ttnn_default"),
        ("export_path", "", "expected a text"),
        ("export_path", True, "expected a text"),
        ("backend", "tt", "expected default, ttnn_flatbuffer, codegen_cpp, codegen_py or codegen_load_py"),
    ],
)
def test_bad_value(key: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        check({key: value})
    assert str(caught.value) == f"compiler option {key}: {value!r} is not accepted: {expected}"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("optimisation_level", "optimization_level"),
        ("experimental_kv_cache_dtype", "experimental-kv-cache-dtype"),
        ("enable_traces", "enable_trace"),
    ],
)
def test_unknown_key_points_at_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ValueError) as caught:
        check({wrong: "1"})
    assert str(caught.value) == (
        f"{wrong!r} is not a TT compiler option (the compiler would ignore it): did you mean {right}?"
    )


@pytest.mark.parametrize("key", ["zzz", 3])
def test_key_like_none_lists_all(key: object) -> None:
    with pytest.raises(ValueError) as caught:
        check({key: "1"})  # type: ignore[dict-item]
    assert f"{key!r} is not a TT compiler option" in str(caught.value)
    assert all(known in str(caught.value) for known in KNOWN)


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("enable_optimizer", "optimization_level=1"),
        ("enable_memory_layout_analysis", "optimization_level=2"),
        ("enable_l1_interleaved", "optimization_level=2"),
        ("enable_bfp8_conversion", "experimental_weight_dtype=bfp_bf8"),
        ("enable_weight_bfp8_conversion", "experimental_weight_dtype=bfp_bf8"),
        ("enable_fusing_conv2d_with_multiply_pattern", "optimization_level=1"),
    ],
)
def test_key_of_an_earlier_release(key: str, advice: str) -> None:
    with pytest.raises(ValueError) as caught:
        check({key: True})
    assert f"compiler option {key} does not exist any more" in str(caught.value)
    assert advice in str(caught.value)


def test_advice_for_gone_keys_is_accepted() -> None:
    words = " ".join(GONE.values()).replace(",", " ").split()
    advised = [word for word in words if "=" in word]
    assert len(advised) >= len(GONE)
    for option in advised:
        check(dict([parse(option)]))


def test_combinations() -> None:
    check_together({})
    check_together({"backend": "codegen_py", "export_path": "out"})
    check_together({"enable_create_d2m_subgraphs": "true", "optimization_level": "1"})
    with pytest.raises(ValueError, match="backend=codegen_cpp needs export_path=DIR"):
        check_together({"backend": "codegen_cpp"})
    with pytest.raises(ValueError, match="enable_create_d2m_subgraphs=true needs optimization_level=1 or 2"):
        check_together({"enable_create_d2m_subgraphs": "true"})


def test_a_build_may_lack_options() -> None:
    check_build({"target_module": "true", "optimization_level": "1"}, "pjrt-plugin-tt")
    check_build({"optimization_level": "1"}, "jax-tt-plugin")
    with pytest.raises(ValueError) as caught:
        check_build({"optimization_level": "1", "target_module": "true"}, "jax-tt-plugin")
    assert str(caught.value) == (
        "compiler option target_module: jax-tt-plugin does not have it, pjrt-plugin-tt does; leave it out"
    )


def test_options_of_a_program_are_tts_or_xlas() -> None:
    given = {"optimization_level": "O1", "xla_cpu_enable_fast_math": True, "fp32_dest_acc_en": False, "xla_x": 0.5}
    xla = {"xla_cpu_enable_fast_math": True, "xla_x": 0.5}
    assert split(given) == ({"optimization_level": "1", "fp32_dest_acc_en": "false"}, xla)
    assert only_xla(given) == xla
    with pytest.raises(ValueError, match=r"1\.5 is not accepted: expected 0, 1 or 2"):
        split({"optimization_level": 1.5})
    with pytest.raises(ValueError, match="needs export_path"):
        only_xla({"backend": "codegen_py"})
    with pytest.raises(TypeError, match="compiler_options='hifi2': expected a dict such as"):
        split("hifi2")


IN_THE_CODE = """
import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P

pytestmark = pytest.mark.tt(mesh="1x2", options={"optimization_level": 1, "math_fidelity": "lofi"})

X = np.ones((2, 4), np.float32)
OWN = {"math_fidelity": "hifi2", "fp32_dest_acc_en": True, "xla_cpu_enable_fast_math": True}


def add(x):
    return x + 1


def test_tt_jit(tt_jit):
    f = tt_jit(add, compiler_options=OWN)
    assert f(X)[0, 0] == 2
    (program,) = f.programs
    assert program.options == {"optimization_level": "1", "math_fidelity": "hifi2", "fp32_dest_acc_en": "true"}
    assert f.lower(X).compile()(jax.device_put(X, f.compile(X).compiled.input_shardings[0][0]))[0, 0] == 2
    for level in (1, "1", "O1"):
        f = tt_jit(add, compiler_options={"optimization_level": level})
        assert (f(X)[0, 0], f.programs[0].options["optimization_level"]) == (2, "1")
    plain = tt_jit(add)
    plain(X)
    assert plain.programs[0].options == {"optimization_level": "1", "math_fidelity": "lofi"}


def test_jax_jit(tt_mesh):
    x = jax.device_put(X, NamedSharding(tt_mesh, P()))
    assert jax.jit(add, compiler_options=OWN)(x)[0, 0] == 2
    assert jax.jit(add).lower(x).compile(compiler_options=OWN | {"optimization_level": "O2"})(x)[0, 0] == 2
    for level in (1, "1", "O1"):  # which of these jax itself takes depends on its version
        assert jax.jit(add, compiler_options={"optimization_level": level})(x)[0, 0] == 2
    with pytest.raises(Exception, match="xla_no_such_flag"):
        jax.jit(add, compiler_options={"xla_no_such_flag": True})(x)


@pytest.mark.parametrize("wrong, text", [
    ({"math_fidelty": "hifi2"}, "'math_fidelty' is not a TT compiler option .*: did you mean math_fidelity"),
    ({"math_fidelity": "hifi9"}, "math_fidelity: 'hifi9' is not accepted: expected lofi, hifi2"),
    ({"enable_optimizer": True}, "enable_optimizer does not exist any more"),
    ({"backend": "codegen_py"}, "needs export_path"),
])
def test_mistakes(tt_jit, tt_mesh, wrong, text):
    with pytest.raises(ValueError, match=text):
        tt_jit(add, compiler_options=wrong)
    with pytest.raises(ValueError, match=text):
        jax.jit(add, compiler_options=wrong)(jax.device_put(X, NamedSharding(tt_mesh, P())))


def test_the_host_is_as_it_was():
    host = jax.device_put(X, jax.devices("cpu")[0])
    with pytest.raises(Exception, match="No such compile option: 'math_fidelity'"):
        jax.jit(add, compiler_options={"math_fidelity": "hifi2"})(host)
    assert jax.jit(add, compiler_options={"xla_cpu_enable_fast_math": True})(host)[0, 0] == 2
"""


def test_options_in_the_code(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(IN_THE_CODE)
    run_tt("--tt-compiler-option", "optimization_level=2").assert_outcomes(passed=7)
