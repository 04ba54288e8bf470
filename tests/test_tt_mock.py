"""Mock runs: a compiled program executed once on mocked Blackhole chips."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler import build, mock
from pytest_tt.tt_compiler.cluster import cluster
from pytest_tt.tt_compiler.mock import MockRunError
from pytest_tt.tt_compiler.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOCKED = ["p100", "p150", "qb2", "lb-blackhole"]

OUT_OF_MEMORY = """\
INFO| something
jax.errors.JaxRuntimeError: INTERNAL: Exception:
{TT_FATAL @ external/tt_metal/tt_metal/impl/allocator/bank_manager.cpp:488: false
info:
Out of Memory: Not enough space to allocate 536870912 B L1 buffer across 110 banks, where each bank needs to store
4880644 B, but bank size is 1461120 B
backtrace:
 --- lib.so(+0x2f0acef)
}
"""
BAD_RESHAPE = """\
TT_FATAL @ external/tt_metal/ttnn/cpp/ttnn/operations/data_movement/reshape_view/reshape_common.cpp:50: new_volume == old_volume
info:
Invalid arguments to reshape
backtrace:
 --- lib.so(+0x2f0acef)
"""  # noqa: E501 - as it is printed


class Lowered:
    """What a mock run reads of a program to understand its failure."""

    name = "step"

    def __init__(self, text: str) -> None:
        self.text = text


def outcome(log: str, text: str) -> mock.MockRun:
    lowered: Any = Lowered(text)
    return mock._outcome(Refusal(log), lowered, "p150")


@pytest.mark.parametrize("name", MOCKED)
def test_cluster(name: str) -> None:
    """Every chip once in each section, and each linked to its neighbours in the grid by two channels of its own."""
    chips = SYSTEMS[name].chips
    text = cluster(SYSTEMS[name])
    assert len(re.findall(r"^  \d+: blackhole$", text, re.MULTILINE)) == chips
    boards = re.findall(r"board_id: (\d+), board_type: (\w+), chips: \[(\d+)\]", text)
    assert [int(chip) for _, _, chip in boards] == list(range(chips))
    assert {kind for _, kind, _ in boards} == {"p100" if name == "p100" else "p150"}
    assert {int(number) >> 36 for number, _, _ in boards} == {0x36 if name == "p100" else 0x40}
    ends = re.findall(r"chip: (\d+), chan: (\d+)", text)
    assert len(set(ends)) == len(ends), "a channel has one end"
    links = {"p100": 0, "p150": 0, "qb2": 4, "lb-blackhole": 10}
    assert len(ends) == 2 * 2 * links[name]
    assert len(set(re.findall(r'"0000:(..):00.0"', text))) == chips


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("n150", "has Wormhole chips, for which jax-tt-plugin has no kernels"),
        ("t3k", "has Wormhole chips, for which jax-tt-plugin has no kernels"),
        ("galaxy-bh", "cannot be mocked yet"),
    ],
)
def test_another_system_is_one_clear_line(name: str, why: str) -> None:
    lowered: Any = Lowered("")
    with pytest.raises(ValueError) as caught:
        mock.run(lowered, system=name)
    assert str(caught.value) == f"{name} {why}: a mock run is for one of p100, p150, qb2, lb-blackhole"


def test_an_overflow_is_told_in_the_runtimes_words() -> None:
    with pytest.raises(MockRunError) as caught:
        outcome(OUT_OF_MEMORY, "")
    assert str(caught.value).splitlines() == [
        "mock device (TT's runtime without a chip) for p150: step: Out of Memory: Not enough space to allocate "
        "536870912 B L1 buffer across 110 banks, where each bank needs to store 4880644 B, but bank size is 1461120 B "
        "(TT_FATAL bank_manager.cpp:488: false)",
        "  instead: it does not fit into the L1 of a chip: use smaller tensors, or shard them over more chips",
    ]
    assert caught.value.log == OUT_OF_MEMORY


def test_the_known_false_alarm_is_named() -> None:
    found = outcome(BAD_RESHAPE, "%1 = stablehlo.dynamic_slice %0, %i, sizes = [1] : tensor<1xf32>")
    assert found.false_alarm is not None
    assert found.false_alarm.startswith("a reshape after a dynamic_slice:")
    with pytest.raises(MockRunError, match=r"Invalid arguments to reshape \(TT_FATAL reshape_common.cpp:50"):
        outcome(BAD_RESHAPE, "%1 = stablehlo.reshape %0 : tensor<1xf32>")


def test_a_failure_without_the_usual_words() -> None:
    with pytest.raises(MockRunError, match=r"step: RuntimeError: no chip$"):
        outcome("INFO| one\nRuntimeError: no chip\n\n", "")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--tt-compile", "p150,n300"], "no mock device of n300"),
        (["--tt-compile", "auto"], "no mock device of auto"),
        ([], "nothing is compiled"),
    ],
)
def test_the_option_needs_blackhole(
    arguments: list[str], what: str, pytester: pytest.Pytester, run_tt: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile("def test_x(tt_jit): pass")
    result = run_tt("--tt-mock", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.stderr.lines if line] == [
        f"ERROR: --tt-mock: {what}: expected --tt-compile with p100, p150, qb2 or lb-blackhole"
    ]


def test_what_is_not_for_several_chips() -> None:
    lowered: Any = Lowered("")
    lowered.devices, lowered.mesh = 4, "1x4"
    with pytest.raises(ValueError, match="step is for 4 chips: memory can be reserved on one chip only"):
        mock.run(lowered, system="qb2", reserve_bytes=1)
    with pytest.raises(ValueError, match=r"step is for 4 chips \(mesh 1x4\), and p150 has 1: name a larger one"):
        mock.run(lowered, system="p150")


def test_a_run_that_takes_too_long() -> None:
    error = mock._failure("", "step", "qb2", "the compiler did not end within 300 s, and was killed")
    assert str(error).endswith(
        "raise the limit (--tt-timeout): the first run on several chips compiles the kernels of their links"
    )


IN_A_RUN = r"""
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_tt.tt_compiler import mock
from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.lowering import lower
from pytest_tt.tt_compiler.store import Store

@pytest.fixture
def store(pytestconfig):
    return Store(Path(pytestconfig.getoption("--tt-compile-cache")) / "card")

def shape(*sizes, dtype=np.float32):
    return jax.ShapeDtypeStruct(sizes, dtype)

def test_runs_and_the_second_time_not_at_all(tt_device, store):
    dense = lower(lambda x, m, w: jnp.where(m, jnp.tanh(x @ w), 0), (shape(64, 32), shape(64, 1, dtype=bool), shape(32, 8)))
    assert mock.run(dense, system="p150", store=store) == mock.MockRun("p150", None)
    assert list(store.directory.glob("*.zip"))
    assert mock.run(dense, system="p150", store=store, limit_s=0.001) == mock.MockRun("p150", None)

def test_false_alarm(tt_device, store):
    slice = lower(lambda x, i: jax.lax.dynamic_slice(x, (i[0], 0), (1, 32)).reshape(32), (shape(8, 32), shape(1, dtype=np.int32)))
    assert mock.run(slice, system="p150", store=store).false_alarm is not None

def test_rank_7_compiles_and_does_not_run(tt_device, store):
    turned = lower(lambda x: jnp.transpose(x, (6, 5, 4, 3, 2, 1, 0)) * 2, (shape(2, 2, 2, 2, 2, 2, 2),))
    compile_program(turned, system="p150", store=store)
    with pytest.raises(mock.MockRunError, match="TT_"):
        mock.run(turned, system="p150", store=store)

def test_peak_memory_is_what_the_allocator_needs(tt_device, store):
    lowered = lower(lambda x, w: jnp.tanh(x @ w) @ w, (shape(16384, 4096), shape(4096, 4096)))
    program = compile_program(lowered, system="p150", store=store)
    # Banks of the mock device end where ours do, and begin 0.2 % earlier: 52 MB in all.
    room = program.dram_bytes + 52_000_000
    enough, little = (int(program.dram_peak_bytes * factor) for factor in (1.03, 0.97))
    assert mock.run(lowered, system="p150", store=store, reserve_bytes=room - enough).false_alarm is None
    with pytest.raises(mock.MockRunError, match="Out of Memory: Not enough space to allocate .* DRAM buffer"):
        mock.run(lowered, system="p150", store=store, reserve_bytes=room - little)

def test_what_the_first_call_converts_counts(tt_device, store):
    # Weights come from the host: the table of an embedding goes through tiles, and is there twice for a moment.
    params = {"params": {"table": shape(65536, 1024), "w": shape(1024, 1024)}}
    lowered = lower(lambda p, ids: p["params"]["table"][ids] @ p["params"]["w"], (params, shape(32, dtype=np.int32)))
    options = {"experimental_weight_dtype": "bfp_bf8"}
    program = compile_program(lowered, system="p150", options=options, store=store)
    table = 65536 * 1024 * 4
    assert program.memory.cached_bytes < 1.01 * (table + 1024 * 1024 * 1088 // 1024)
    assert program.dram_peak_bytes > 2 * table
    reserved = program.dram_bytes + 52_000_000 - int(0.95 * program.dram_peak_bytes)
    with pytest.raises(mock.MockRunError) as caught:
        mock.run(lowered, system="p150", options=options, store=store, reserve_bytes=reserved)
    words = re.search(r"allocate (\d+) B DRAM buffer across (\d+) banks.*\(allocated: (\d+) B", str(caught.value))
    asked, banks, allocated = map(int, words.groups())
    assert asked == table
    assert 0 <= banks * allocated - reserved + asked - program.dram_peak_bytes < 2**19
"""  # noqa: E501


BY_OPTION = """
import jax
import jax.numpy as jnp
import numpy as np
import pytest

X = np.ones((8, 32), np.float32)

def turned(x):
    return jnp.transpose(x, (6, 5, 4, 3, 2, 1, 0)) * 2

def cut(x, i):
    return jax.lax.dynamic_slice(x, (i[0], 0), (1, 32)).reshape(32)

def test_passes(tt_jit):
    tt_jit(lambda x: x @ x.T)(X)

def test_fails(tt_jit):
    tt_jit(turned)(np.ones([2] * 7, np.float32))

def test_false_alarm(tt_jit):
    tt_jit(cut)(X, np.ones(1, np.int32))

def test_fixture(tt_compile):
    tt_compile(turned, jax.ShapeDtypeStruct([2] * 7, np.float32))
    with pytest.raises(Exception, match="TT_"):
        tt_compile(turned, jax.ShapeDtypeStruct([2] * 7, np.float32), mock=True)
    with pytest.raises(ValueError, match="n150 has Wormhole chips"):
        tt_compile(turned, jax.ShapeDtypeStruct([2] * 7, np.float32), system="n150", mock=True)
"""


@pytest.mark.skipif(not os.environ.get("ZOO_SLOW"), reason="takes minutes: opens mock devices; runs with ZOO_SLOW=1")
def test_on_a_mock_device(pytester: pytest.Pytester, run_tt: Callable[..., pytest.RunResult], mock_cache: Path) -> None:
    """In a process whose chips are simulated. The sum of a CardProgram's memory is compared with the allocator, too."""
    try:
        build.find_build()
    except build.CompilerMissing as missing:
        pytest.skip(str(missing))
    pytester.makepyfile(IN_A_RUN)
    cache = f"--tt-compile-cache={mock_cache}"
    run_tt("-rA", cache).assert_outcomes(passed=5)
    pytester.makepyfile(test_option=BY_OPTION)
    chosen = "--tt-compile", "p150", "--tt-mock", "-W", "default", "--tt-results=results.json", cache
    result = run_tt("test_option.py", *chosen)
    result.assert_outcomes(passed=3, failed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*TTMockWarning: cut on a mock p150: false alarm: a reshape after a dynamic_slice*", "FAILED *::test_fails*"]
    )
    rows = json.loads((pytester.path / "results.json").read_text())["tests"]
    errors = {row["nodeid"].partition("::")[2]: row["card"]["programs"][0]["error"] for row in rows if row["card"]}
    assert errors.pop("test_fails").startswith("mock device (TT's runtime without a chip) for p150: turned: ")
    assert set(errors.values()) == {None}
