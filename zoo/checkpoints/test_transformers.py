"""transformers reads what `save_checkpoint` writes, and the loader what transformers writes. Needs the references."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tt.compare import flatten
from zoo.checkpoints.loading import convert_tensors, load_checkpoint, on_host, save_checkpoint
from zoo.checkpoints.tensor_files import INDEX, TensorFiles

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry import Model

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


@needs_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_there_and_back(zoo_model: Model, zoo_written: str, tmp_path: Path) -> None:
    import transformers

    model, variant = zoo_model, zoo_written
    config, keys = model.config(variant), model.key_map(variant)
    shapes = model.architecture.shapes(config)
    assert model.checkpoint is not None
    assert model.checkpoint.hub_config is not None
    hub_config = model.checkpoint.hub_config(config)
    save_checkpoint(tmp_path / "ours", model.synthetic_checkpoint(variant), shards=3, config=hub_config)

    kind = getattr(transformers, hub_config["architectures"][0])
    theirs, told = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["mismatched_keys"]

    expected = flatten(convert_tensors(model.synthetic_checkpoint(variant), config, keys, shapes))
    total = sum(tensor.numel() * tensor.element_size() for tensor in theirs.state_dict().values())
    for folder, limit in (("one", "5GB"), ("many", f"{total // 5 // 1000 + 1}KB")):
        theirs.save_pretrained(tmp_path / folder, max_shard_size=limit)
        if told["unexpected_keys"]:  # what our checkpoint has beyond their model, such as BERT's pooler, ours keeps
            ours, written = TensorFiles(tmp_path / "ours"), TensorFiles(tmp_path / folder)
            tensors = {key: ours[key].read() for key in told["unexpected_keys"]}
            tensors |= {key: tensor.read() for key, tensor in written.items()}
            loaded = flatten(convert_tensors(tensors, config, keys, shapes))
        else:
            loaded = flatten(load_checkpoint(tmp_path / folder, config, keys, shapes, on_host))
        assert set(loaded) == set(expected)
        for path, leaf in expected.items():
            np.testing.assert_array_equal(loaded[path], leaf, err_msg=path)
    files = set(json.loads((tmp_path / "many" / INDEX).read_text())["weight_map"].values())
    assert len(files) >= 4
