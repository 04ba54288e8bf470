"""Loading by key maps: one file or many, converted and placed on every mesh; and all that can be wrong with names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from pytest_tt.compare import flatten
from zoo.checkpoints.hub import Source
from zoo.checkpoints.loading import (
    CheckpointError,
    Convert,
    KeyMap,
    Rule,
    Target,
    Unused,
    convert_tensors,
    load_checkpoint,
    on_host,
    progress_bar,
)
from zoo.checkpoints.placement import load_params, place_params, put
from zoo.checkpoints.synthetic import uniform
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.checkpoints.weights import nested
from zoo.registry import Architecture, Checkpoint, Model, Sharding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jax.sharding import Mesh

    from zoo.registry import Prepare


class Two:
    """A stand-in for a module: two layers and an embedding, 24 wide, as a published checkpoint might have them."""

    def __init__(self, width: int) -> None:
        self.width = width

    def init(self, key: Any, x: Any) -> Any:
        layer = {"q": (24, self.width), "k": (24, self.width), "norm": (24,), "out": (self.width, 24)}
        shapes = {"h_0": layer, "h_1": layer, "wte": (50, 24), "gates": (24, 48)}
        return {"params": jax.tree.map(jax.numpy.zeros, shapes, is_leaf=lambda node: isinstance(node, tuple))}


def third(index: int) -> Convert:
    return lambda tensor, width: np.split(tensor, 2, axis=0)[index].T


KEYS = KeyMap(
    rules=(
        Rule(r"h\.(\d+)\.qk", (Target("params/h_{0}/q", third(0)), Target("params/h_{0}/k", third(1)))),
        Rule(r"h\.(\d+)\.norm", "params/h_{0}/norm"),
        Rule(r"h\.(\d+)\.out", "params/h_{0}/out", lambda tensor, width: tensor.T),
        Rule(r"wte", "params/wte"),
        Rule(r"gate", "params/gates", part=(0, 2, 1)),
        Rule(r"up", "params/gates", part=(1, 2, 1)),
    ),
    unused=(Unused(r"h\.\d+\.mask", "zeros", lambda tensor, width: not tensor.any()),),
)


def tensors(dtype: Any = np.float32) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {"wte": (50, 24), "gate": (24, 24), "up": (24, 24)}
    for layer in ("h.0", "h.1"):
        shapes |= {f"{layer}.qk": (48, 24), f"{layer}.norm": (24,), f"{layer}.out": (24, 24)}
    masks = {f"h.{at}.mask": np.zeros((3, 3), dtype) for at in "01"}
    return {**{name: uniform(name, shape).astype(dtype) for name, shape in shapes.items()}, **masks}


def prepare(width: int, mesh: Mesh) -> Prepare:
    """Columns of q, k and rows of out, padded with zeros to what divides by the chips."""
    extra = fit(width, mesh) - width
    pads = {"q": ((0, 0), (0, extra)), "k": ((0, 0), (0, extra)), "out": ((0, extra), (0, 0))}

    def pad(path: str, leaf: np.ndarray) -> np.ndarray:
        name = path.rpartition("/")[2]
        return np.pad(leaf, pads[name]) if name in pads else leaf

    return pad


def fit(width: int, mesh: Mesh) -> int:
    chips = int(mesh.shape["model"])
    return -(-width // chips) * chips


def specs(width: int, mesh: Mesh) -> Any:
    layer = {"q": P(None, "model"), "k": P(None, "model"), "out": P("model", None), "norm": P()}
    return {"params": {"h_0": layer, "h_1": layer, "wte": P(), "gates": P("batch", None)}}


MODEL = Model(
    name="two",
    variants={"tiny": 24},
    architecture=Architecture(
        build=Two,
        example=lambda width: {"x": np.zeros((1, 24), np.float32)},
        forward=lambda module: lambda params, inputs: {},
    ),
    sharding=Sharding(
        meshes=("1x1", "1x2", "2x4", "1x32"),
        param_specs=specs,
        input_specs=lambda width, mesh: {"x": P()},
        output_specs=lambda width, mesh: {},
        fit=fit,
        prepare=prepare,
    ),
    checkpoint=Checkpoint(key_map=lambda width: KEYS),
)

SHAPES = MODEL.architecture.shapes(24)


def expected() -> dict[str, np.ndarray]:
    given = tensors()
    leaves = {"params/wte": given["wte"], "params/gates": np.concatenate([given["gate"], given["up"]], axis=1)}
    for at in "01":
        leaves |= {
            f"params/h_{at}/q": given[f"h.{at}.qk"][:24].T,
            f"params/h_{at}/k": given[f"h.{at}.qk"][24:].T,
            f"params/h_{at}/norm": given[f"h.{at}.norm"],
            f"params/h_{at}/out": given[f"h.{at}.out"].T,
        }
    return leaves


def assert_equal(tree: Any, leaves: Mapping[str, np.ndarray]) -> None:
    found = flatten(tree)
    assert set(found) == set(leaves)
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)


@pytest.mark.parametrize("shards", [1, 5])
def test_loaded_on_the_host(tmp_path: Path, shards: int) -> None:
    save_checkpoint(tmp_path, tensors().items(), shards=shards)
    assert_equal(load_checkpoint(tmp_path, 24, KEYS, SHAPES, on_host), expected())
    assert_equal(convert_tensors(tensors(), 24, KEYS, SHAPES), expected())
    assert_equal(convert_tensors(tensors().items(), 24, KEYS), expected())


@pytest.mark.tt(mesh=["1x1", "1x2", "2x4", "1x32"])
@pytest.mark.parametrize("shards", [1, 5])
def test_loaded_on_a_mesh(tmp_path: Path, tt_mesh: Mesh, shards: int) -> None:
    """Shard by shard, padded where 24 does not divide, and the same as what is placed from the host."""
    save_checkpoint(tmp_path, tensors().items(), shards=shards)
    params = load_params(MODEL, "tiny", tt_mesh, tmp_path)
    assert_equal(params, prepared_leaves(tt_mesh))
    for path, leaf in leaves_of(params):
        spec = specs(24, tt_mesh)["params"]
        for key in path[1:]:
            spec = spec[key]
        assert leaf.sharding == NamedSharding(tt_mesh, spec)
        assert leaf.dtype == np.float32
    assert_equal(place_params(MODEL, 24, tt_mesh, expected_tree()), flatten(params))
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(bytes(file.stat().st_size))  # what is loaded does not hang on the files
    assert_equal(params, prepared_leaves(tt_mesh))


def prepared_leaves(mesh: Mesh) -> dict[str, np.ndarray]:
    return {path: prepare(24, mesh)(path, leaf) for path, leaf in expected().items()}


def expected_tree() -> Any:
    return nested(expected())


def leaves_of(tree: Any) -> Iterator[tuple[list[str], jax.Array]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        yield [key.key for key in path], leaf


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float64])
def test_floats_of_other_widths(tmp_path: Path, dtype: Any) -> None:
    save_checkpoint(tmp_path, tensors(dtype).items())
    loaded = flatten(load_checkpoint(tmp_path, 24, KEYS, SHAPES, on_host))
    for path, leaf in expected().items():
        assert loaded[path].dtype == np.float32
        np.testing.assert_array_equal(loaded[path], leaf.astype(dtype).astype(np.float32))


def test_the_largest_first(tmp_path: Path) -> None:
    """What padding copies one for is then never there beside all others; the parameters come as in the file."""
    save_checkpoint(tmp_path, sorted(tensors().items()))
    order = []

    def place(path: str, values: np.ndarray, dtype: Any) -> np.ndarray:
        order.append(path.split("/")[-1])
        return on_host(path, values, dtype)

    found = load_checkpoint(tmp_path, 24, KEYS, SHAPES, place)
    assert order == ["wte", "q", "k", "q", "k", "gates", "out", "out", "norm", "norm"]
    assert list(found["params"]) == ["gates", "h_0", "h_1", "wte"]
    assert_equal(found, expected())


@pytest.mark.tt(mesh="1x8")
def test_zeros_take_no_memory(tt_mesh: Mesh, tt_run: Any) -> None:
    """Whole shards of them, as the heads are that padding adds, also where a program has read them."""
    sharding = NamedSharding(tt_mesh, P("model", None))
    values = np.zeros((131_072, 256), np.float32)
    total = jax.jit(jnp.sum).lower(jax.ShapeDtypeStruct(values.shape, values.dtype, sharding=sharding)).compile()
    before = resident()
    array = put(values, sharding, np.dtype(np.float32))
    assert float(total(array)) == 0
    taken = resident() - before
    if tt_run.backend == "sim":  # real chips have memory of their own
        assert taken < values.nbytes // 8
    values[: len(values) // 2] = 1
    assert float(total(put(values, sharding, np.dtype(np.float32)))) == values.size // 2


def resident() -> int:
    """Bytes of memory that are this process's own."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return sum(1024 * int(status.split(f"{kind}:")[1].split()[0]) for kind in ("RssAnon", "RssShmem"))


@pytest.mark.tt(mesh="2x4")
def test_put_converts_and_shares(tt_mesh: Mesh) -> None:
    values = np.arange(64, dtype=np.float32).reshape(8, 8)[:, ::-1]
    for spec in (P(), P("model"), P("batch", "model"), P(("batch", "model")), P(None, "batch")):
        array = put(values, NamedSharding(tt_mesh, spec), np.dtype(ml_dtypes.bfloat16))
        assert array.sharding == NamedSharding(tt_mesh, spec)
        np.testing.assert_array_equal(np.asarray(array), values.astype(ml_dtypes.bfloat16))
    scalar = put(np.array(3, np.float32), NamedSharding(tt_mesh, P()), np.dtype(np.float32))
    assert (scalar.shape, float(scalar)) == ((), 3.0)
    with pytest.raises(ValueError, match="divi"):
        put(values[:6], NamedSharding(tt_mesh, P("model")), np.dtype(np.float32))


def test_all_name_errors_at_once(tmp_path: Path) -> None:
    given = tensors()
    del given["h.0.norm"], given["up"]
    given |= {"extra.one": np.zeros(2), "extra.two": np.zeros(2), "h.7.norm": np.zeros(24), "wte.again": given["wte"]}
    given["h.1.both"] = np.zeros(3)
    keys = KeyMap(
        (*KEYS.rules, Rule(r"wte\.again", "params/wte"), Rule(r"h\.1\.b.*", "x"), Rule(r".*\.both", "y")), KEYS.unused
    )
    save_checkpoint(tmp_path, given.items())
    with pytest.raises(CheckpointError) as failure:
        load_checkpoint(tmp_path, 24, keys, SHAPES, on_host)
    assert str(failure.value).splitlines() == [
        f"{tmp_path}: does not hold what the model needs",
        "  tensors that no rule matches: extra.one, extra.two",
        "  tensors for parameters that the model does not have: h.7.norm (for params/h_7/norm)",
        r"  matched or filled twice: h.1.both (by 'h\\.1\\.b.*' and '.*\\.both'), params/wte (from wte and wte.again)",
        "  parameters that no tensor fills: params/gates (part 2 of 2), params/h_0/norm",
    ]


def test_nothing_is_placed_before_the_names_are_good(tmp_path: Path) -> None:
    placed = []
    save_checkpoint(tmp_path, [*tensors().items(), ("extra", np.zeros(1))])
    with pytest.raises(CheckpointError, match="no rule matches: extra"):
        load_checkpoint(tmp_path, 24, KEYS, SHAPES, lambda path, values, dtype: placed.append(path))
    assert placed == []


def test_optional_parameters(tmp_path: Path) -> None:
    given = tensors()
    del given["h.0.norm"]
    rules = tuple(
        Rule(rule.pattern, rule.target, optional=True) if "norm" in rule.pattern else rule for rule in KEYS.rules
    )
    leaves = expected()
    del leaves["params/h_0/norm"]
    assert_equal(convert_tensors(given, 24, KeyMap(rules, KEYS.unused), SHAPES), leaves)
    with pytest.raises(CheckpointError, match="no tensor fills: params/h_0/norm"):
        convert_tensors(given, 24, KEYS, SHAPES)


@pytest.mark.parametrize("piece", [1, 1000, 1 << 24])
def test_tensors_that_fill_nothing(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what the model has in their place, whatever of them is looked at at once; else nothing is placed."""
    monkeypatch.setattr("zoo.checkpoints.loading._PIECE", piece)
    tied = Rule(r"head", (Target("params/wte", fallback=True), Target("params/wte_t", lambda t, _: t.T, fallback=True)))
    wte = Rule(r"wte", (Target("params/wte"), Target("params/wte_t", lambda tensor, width: tensor.T)))
    keys = KeyMap((*(rule for rule in KEYS.rules if rule.pattern != "wte"), wte, tied), KEYS.unused)
    given = {**tensors(), "head": tensors()["wte"]}
    leaves = {**expected(), "params/wte_t": given["wte"].T}

    def load(changed: Mapping[str, np.ndarray]) -> Any:
        save_checkpoint(tmp_path, changed.items())
        return load_checkpoint(tmp_path, 24, keys, None, on_host)

    assert_equal(load(given), leaves)
    alone = {name: tensor for name, tensor in given.items() if name != "wte"}
    assert_equal(load(alone), leaves)
    for at in ((0, 0), (-1, -1)):
        head = given["head"].copy()
        head[at] += 1
        with pytest.raises(CheckpointError) as failure:
            load({**given, "head": head, "h.1.mask": np.ones((3, 3), np.float32)})
        assert str(failure.value) == (
            f"{tmp_path}: holds tensors that the model would not use, though they say something else: "
            "head (the model uses wte in its place, and they differ), "
            "h.1.mask (float32 (3, 3), not what the model has there: zeros); "
            "it is of another model, or was not saved whole"
        )
    with pytest.raises(CheckpointError, match=r"head .the model uses wte in its place, and they differ"):
        load({**given, "head": given["head"][:-1]})


def test_fallback_that_may_differ() -> None:
    rules = (Rule("b", (Target("b", fallback=True, may_differ="the other counts"),)), Rule("own", "b"))
    assert_equal(convert_tensors({"b": np.zeros(2), "own": np.ones(2)}, 0, KeyMap(rules)), {"b": np.ones(2)})


def test_unused_without_a_reason() -> None:
    wrong: Any = (r".*\.mask",)
    for unused in (wrong, (Unused(r".*\.mask", ""),)):
        with pytest.raises(ValueError, match=r"mask.* does not say why it is not used: give Unused\(pattern, why\)"):
            KeyMap(KEYS.rules, unused)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("wte", np.zeros((51, 24), np.float32), r"'wte', float32 \(51, 24\), gives params/wte as \(51, 24\), not \(50"),
        ("up", np.zeros((24, 25), np.float32), r"gives part 2 of 2 of params/gates as \(24, 25\), not \(24, 24\)"),
        ("h.1.out", np.zeros((24, 9), np.float32), r"gives params/h_1/out as \(9, 24\), not \(24, 24\)"),
        ("h.0.qk", np.zeros((47, 24), np.float32), "'h.0.qk'.* cannot become params/h_0/q: .*another size"),
        ("wte", np.zeros((50, 24), np.int32), "'wte', int32 .* cannot be stored in params/wte, which is float32"),
        ("wte", np.zeros((50, 24), ml_dtypes.float8_e4m3fn), "float8_e4m3fn .* cannot be stored in params/wte"),
        ("h.0.norm", np.zeros(24, bool), "cannot be stored in params/h_0/norm"),
    ],
)
def test_wrong_shape_or_dtype(tmp_path: Path, name: str, value: np.ndarray, text: str) -> None:
    save_checkpoint(tmp_path, {**tensors(), name: value}.items())
    with pytest.raises(CheckpointError, match=text) as failure:
        load_checkpoint(tmp_path, 24, KEYS, SHAPES, on_host)
    assert str(failure.value).startswith(f"{tmp_path}: tensor ")
    assert "\n" not in str(failure.value)


def test_variants_and_sources_that_are_not_there() -> None:
    mesh: Any = None
    with pytest.raises(ValueError, match="two has no variant 'huge'; expected one of tiny"):
        load_params(MODEL, "huge", mesh)
    with pytest.raises(ValueError, match="two tiny has no published weights: name a directory"):
        load_params(MODEL, "tiny", mesh)
    with pytest.raises(ValueError, match="two: source of huge; expected variants: tiny"):
        replace(MODEL, checkpoint=Checkpoint(key_map=lambda width: KEYS, sources={"huge": Source("a/b", "c")}))


class Terminal:
    """A stream that keeps what is written."""

    def __init__(self, *, tty: bool) -> None:
        self.tty, self.text = tty, ""

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is written to a terminal, or to what is `tty=False`, while a quarter is done at each of `times` (seconds).

    By line: each begins at the left again.
    """

    def show(*times: float, tty: bool = True) -> list[str]:
        stream, clock = Terminal(tty=tty), [0.0]
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr("tqdm.std.time", lambda: clock[-1])
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("LINES", "30")
        with progress_bar("loading x", 100_000_000) as progress:
            for time in times:
                clock.append(time)
                progress.update(25_000_000)
        return stream.text.split("\r")

    return show


def test_progress_is_shown_after_a_second_and_on_terminals_only(shown: Callable[..., list[str]]) -> None:
    assert shown(0.3, 0.6, 0.99) == [""]
    assert shown(0.5, 1.5, 2.0, tty=False) == [""]
    lines = shown(0.5, 1.5, 1.55, 2.0)
    _, half, whole, *_ = lines
    assert half.startswith("loading x:  50%|###")
    assert "| 50.0M/100M [" in half
    assert whole.startswith("loading x: 100%|###")
    assert "| 100M/100M [" in whole
    left = ""
    for line in lines:
        left = line + left[len(line) :]
    assert left.strip() == ""
