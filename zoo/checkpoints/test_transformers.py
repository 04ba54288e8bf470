"""transformers reads what `save_checkpoint` writes, and the loader what transformers writes. Needs the references."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest

from pytest_tt.compare import flatten
from zoo.checkpoints.config_check import contradictions
from zoo.checkpoints.loading import convert_tensors, load_checkpoint, on_host, save_checkpoint
from zoo.checkpoints.tensor_files import INDEX, TensorFiles

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry import Model

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def as_dtype(tensor: np.ndarray, dtype: str) -> np.ndarray:
    """`tensor` rounded to `dtype`, or as it is if it holds no floating-point numbers."""
    return tensor.astype(jnp.dtype(dtype)) if jnp.issubdtype(tensor.dtype, jnp.floating) else tensor


@needs_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_there_and_back(zoo_model: Model, zoo_written: str, tmp_path: Path) -> None:
    """Saved by transformers in one file, in several and in bfloat16: the same values, and a config.json that agrees.

    The model that saves is the one whose outputs are the goldens.
    """
    import torch
    import transformers

    model, variant = zoo_model, zoo_written
    config, keys = model.config(variant), model.key_map(variant)
    shapes = model.architecture.shapes(config)
    assert model.checkpoint is not None
    assert model.checkpoint.hub_config is not None
    hub_config = model.checkpoint.hub_config(config)
    made = dict(model.synthetic_checkpoint(variant))
    save_checkpoint(tmp_path / "ours", made.items(), shards=3, config=hub_config)

    kind = getattr(transformers, hub_config["architectures"][0])
    theirs, told = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["mismatched_keys"]

    beyond = {name: made.pop(name) for name in told["unexpected_keys"]}  # what theirs lacks, such as BERT's pooler
    total = sum(tensor.numel() * tensor.element_size() for tensor in theirs.state_dict().values())
    for folder, limit, dtype in (
        ("one", "5GB", "float32"),
        ("many", f"{total // 5 // 1000 + 1}KB", "float32"),
        ("half", "5GB", "bfloat16"),
    ):
        theirs.to(getattr(torch, dtype)).save_pretrained(tmp_path / folder, max_shard_size=limit)
        content = json.loads((tmp_path / folder / "config.json").read_bytes())
        assert content["dtype"] == dtype
        assert contradictions(model, variant, content) == []
        rounded = {name: as_dtype(tensor, dtype) for name, tensor in made.items()}
        expected = flatten(convert_tensors({**rounded, **beyond}, config, keys, shapes))
        if beyond:
            written = {name: tensor.read() for name, tensor in TensorFiles(tmp_path / folder).items()}
            loaded = flatten(convert_tensors({**written, **beyond}, config, keys, shapes))
        else:
            loaded = flatten(load_checkpoint(tmp_path / folder, config, keys, shapes, on_host))
        assert set(loaded) == set(expected)
        for path, leaf in expected.items():
            np.testing.assert_array_equal(loaded[path], leaf, err_msg=path)
    files = set(json.loads((tmp_path / "many" / INDEX).read_text())["weight_map"].values())
    assert len(files) >= 4
