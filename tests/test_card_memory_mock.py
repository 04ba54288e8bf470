"""Our sum of a program's memory against the allocator of a mocked Blackhole chip: the same but for kernels."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("ZOO_SLOW"), reason="takes long: set ZOO_SLOW=1, as nox's session compiler does"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("jax_plugins") is None
        or not any(found.metadata["Name"] == "jax-tt-plugin" for found in importlib.metadata.distributions()),
        reason="needs jax-tt-plugin",
    ),
]

# One p150, in the form of tt-umd's cluster descriptors; the type of a board is in its number, from bit 36 on (0x41).
CLUSTER = """arch: {0: blackhole}
chips: {}
chip_unique_ids: {0: 1}
ethernet_connections: []
ethernet_connections_to_remote_devices: []
chips_with_mmio: [0: 0]
harvesting:
  0: {noc_translation: true, harvest_mask: 0, dram_harvesting_mask: 0, eth_harvesting_mask: 288,
      pcie_harvesting_mask: 2, l2cpu_harvesting_mask: 0}
boards:
  - [board_id: 4466765987841, board_type: p150, chips: [0]]
"""

# Each program ends with a tensor that no chip can hold: the allocator's complaint says how much is allocated by then.
SCRIPT = """
import json, re, sys
import jax, jax.numpy as jnp, numpy as np
from pytest_tt.targets.chips import CHIPS
from pytest_tt.tt_compiler.artifact import split_serialized
from pytest_tt.tt_compiler.memory import peak_memory
from pytest_tt.tt_compiler.ttnn_text import read

ROWS, WIDTH = 4_000_000, 8192

def too_large(row):
    return jnp.broadcast_to(row.reshape(1, WIDTH), (ROWS, WIDTH))

def nothing(row):
    return too_large(row)

def products(x, w, v):
    hidden = jax.nn.relu(x @ w)
    return hidden, too_large(hidden @ v)

def views(x, w):
    product = x @ w
    return product, too_large(product.reshape(4, 128, WIDTH).sum((0, 1)))

def small(*arrays):
    cosines = [jnp.cos(array) for array in arrays]
    return *cosines, too_large(sum(jnp.tile(jnp.sin(array), 2) for array in arrays).sum() + jnp.zeros(WIDTH))

def half(x, w):
    product = x.astype(jnp.bfloat16) @ w.astype(jnp.bfloat16)
    return product, too_large(product.sum(0).astype(jnp.float32))

CASES = {
    nothing: [(1, WIDTH)], products: [(1, 4096), (4096, 8192), (8192, 8192)], views: [(512, 4096), (4096, 8192)],
    small: [(3, 5)] * 12, half: [(512, 2048), (2048, 8192)],
}
chip = CHIPS["p150"]
device = jax.devices("tt")[0]
found = {}
for function, shapes in CASES.items():
    arguments = [jax.device_put(np.zeros(shape, np.float32), device) for shape in shapes]
    compiled = jax.jit(function).lower(*arguments).compile()
    loaded = compiled.runtime_executable()
    # jax 0.7 asks the client, later ones the executable.
    raw = loaded.serialize() if hasattr(loaded, "serialize") else loaded.client.serialize_executable(loaded)
    memory = peak_memory(read(split_serialized(raw).ttnn), chip)
    try:
        jax.block_until_ready(compiled(*arguments))
    except Exception as error:
        words = re.search(r"allocate (\\d+) B DRAM .*?\\(allocated: (\\d+) B", str(error), re.DOTALL)
        assert words is not None, error
        asked, allocated = int(words[1]), int(words[2]) * chip.dram_banks
        assert asked > chip.dram_bytes, "the last tensor, no other"
        found[function.__name__] = [memory.peak_bytes - asked, allocated]
    del arguments
print("RESULT", json.dumps(found))
"""


# Kernels that do not fit into a core's own memory: a few KiB in each bank.
KERNELS = 2**17


def test_the_sum_is_the_allocators(tmp_path: Path, mock_kernels: Path) -> None:
    """But for what the mocked chip holds without any program of ours, and for kernels."""
    (tmp_path / "p150.yaml").write_text(CLUSTER, encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu,tt",
        "TMPDIR": str(tmp_path / "tmp"),
        "TT_METAL_MOCK_CLUSTER_DESC_PATH": str(tmp_path / "p150.yaml"),
        "TT_METAL_CACHE": str(mock_kernels),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(results[0].removeprefix("RESULT "))
    ours, allocated = found.pop("nothing")
    fixed = allocated - ours
    assert 0 <= fixed < 2**20, "what is there before a program runs"
    assert set(found) == {"products", "views", "small", "half"}
    for name, (expected, actual) in found.items():
        assert 0 <= actual - (expected + fixed) <= KERNELS, name
