"""What the zoo knows of a model: one description each, from which it is built, loaded, placed, run and checked.

Ours are in ``zoo/<model>/registration.py`` as ``MODEL``; other packages give theirs by an entry point (see
`zoo.discovery`) or by the pytest hook ``pytest_tt_zoo_models``. Importing a registration starts neither a backend nor
torch.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_tt.discovery import Zoo, ZooError, of_type
from pytest_tt.targets.mesh import MeshShape
from zoo.discovery import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from jax.sharding import Mesh, PartitionSpec

    from pytest_tt.compare import Bounds
    from pytest_tt.golden import Golden
    from zoo.checkpoints.config_keys import ConfigKeys
    from zoo.checkpoints.hub import Source
    from zoo.checkpoints.loading import KeyMap
    from zoo.cli.demo import Demo

    Inputs: TypeAlias = Mapping[str, Any]
    Outputs: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parent

SLOW = "ZOO_SLOW"
"""Environment variable: set, the tests check every golden on every mesh that it is claimed for."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _all_outputs(outputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    return outputs


def _whole(config: Any) -> Any:
    return config


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """A golden that a model is compared with; its file is ``golden/<case>.safetensors`` in the model's folder."""

    variant: str
    cut: Callable[[Any], Any] = _whole
    """config of the variant -> config that the golden is of: of a published size one layer and few words."""
    reference: Callable[[], Golden]
    """Computes the golden by an independent implementation; imports torch inside."""
    weights: Callable[[], Mapping[str, Any]]
    """Parameters (NumPy leaves, as the module names them, not prepared for a mesh) that the golden was made with.

    Slow ones need no cache of their own: the contract test keeps what it last used."""
    select: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]] = _all_outputs
    """What of the model's outputs (on the host) the golden holds: goldens of full-size models are slices."""
    meshes: tuple[str, ...] | None = None
    """None: every mesh of the model."""
    quick: tuple[str, ...] | None = None
    """Of `meshes`, those of a usual run of the tests: the others wait for `SLOW`. None: all."""
    forward: Callable[[Any], Callable[[Any, Inputs], Outputs]] | None = None
    """How it is run where that is not by the model's `forward`; with no `meshes`, by `zoo.authoring.mutation` alone."""
    bounds: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of ``tt_golden``; what loosens the default bounds needs a ``reason``."""

    @property
    def own_bounds(self) -> Bounds | None:
        """`bounds` for `pytest_tt.compare.compare`."""
        from pytest_tt.compare import Bounds

        given = {name: value for name, value in self.bounds.items() if value is not None}
        return Bounds(**given) if given else None


def recorded_bounds(golden: Golden, backend: str) -> Bounds | None:
    """The bounds that a golden holds for a backend."""
    from pytest_tt.compare import Bounds

    bounds = golden.info.get("bounds")
    return None if bounds is None else Bounds.from_json(bounds, backend)


def _same_config(config: Any, mesh: Mesh) -> Any:
    return config


def _same_params(config: Any, params: Any, mesh: Mesh) -> Any:
    return params


def _no_collectives(config: Any, mesh: Mesh, inputs: Inputs) -> Mapping[str, int]:
    return {}


def rows_of(inputs: Inputs) -> dict[str, int]:
    """The work of a model whose inputs say no more than how many there are."""
    return {"rows": len(next(iter(inputs.values())))}


def tokens_of(inputs: Inputs) -> dict[str, int]:
    """The work of a language model: the elements of ``input_ids``, padding and all."""
    return {"tokens": int(inputs["input_ids"].size)}


def images_of(inputs: Inputs) -> dict[str, int]:
    """The work of a model of images: the rows of its only input."""
    return {"images": rows_of(inputs)["rows"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The one description of a model. ValueError where it contradicts itself.

    `config` below is a value of `variants`, but for `build`, `specs`, `input_specs`, `output_specs` and
    `collectives`, which get what `fit` makes of it.
    """

    name: str
    variants: Mapping[str, Any]
    """Frozen configs by upstream's names; names that begin with ``tiny`` are for tests."""
    build: Callable[[Any], Any]
    """config -> linen module."""
    layer: str | None = None
    """What the names of layers begin with, ``h_``, where all ``config.num_hidden_layers`` are alike: `shapes` traces
    one only."""
    helpers: tuple[str, ...] = ()
    """Paths of parameters that no checkpoint has, such as numbers of rows: ``zoo list`` counts without them."""
    example: Callable[[Any], Inputs]
    """config -> small inputs (NumPy), by the names of the arguments of the module's ``__call__``."""
    forward: Callable[[Any], Callable[[Any, Inputs], Outputs]]
    """module -> pure function of (params, inputs) that gives named outputs; what is jitted."""
    specs: Callable[[Any, Mesh], Any]
    """Parameters: a tree of PartitionSpec like theirs."""
    input_specs: Callable[[Any, Mesh], dict[str, PartitionSpec]]
    output_specs: Callable[[Any, Mesh], dict[str, PartitionSpec]]
    meshes: tuple[str, ...]
    """Meshes that the model claims to run on, e.g. ``1x8``; axes are ``batch`` and ``model``."""
    fit: Callable[[Any, Mesh], Any] = _same_config
    """config, mesh -> config of the program on that mesh: heads and vocabulary padded to what divides."""
    prepare: Callable[[Any, Any, Mesh], Any] = _same_params
    """config (not fitted), params, mesh -> params of the fitted config, padded on the host, exactly.

    Leaves are NumPy arrays. Loading a checkpoint calls it for one leaf at a time, ``{"params": {…: leaf}}``: it must
    take trees that lack parameters, treat each leaf by itself and keep the names.
    """
    collectives: Callable[[Any, Mesh, Inputs], Mapping[str, int]] = _no_collectives
    """Kind to count, in the compiled program."""
    work: Callable[[Inputs], Mapping[str, int]] = rows_of
    """What one forward pass of the inputs processes, unit to count: reports show how many a second."""
    cases: Mapping[str, GoldenCase] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Published checkpoint of each variant that has one."""
    keys: Callable[[Any], KeyMap] | None = None
    """config -> which tensor of a checkpoint becomes which parameter."""
    synthetic: Callable[[Any, int], Iterable[tuple[str, np.ndarray]]] | None = None
    """config, seed -> made-up tensors of a whole checkpoint, by the checkpoint's names; see `synthetic_checkpoint`."""
    hub_config: Callable[[Any], Mapping[str, Any]] | None = None
    """config -> content of the checkpoint's config.json, for transformers to load what is made up."""
    config_keys: ConfigKeys | None = None
    """What each key of a checkpoint's config.json means; None: what `hub_config` says must hold, other keys are refused
    but for those of every class of transformers. ``python -m zoo configs`` prints it."""
    blocks: Callable[[Any], Mapping[str, str]] | None = None
    """config -> path of a module of ours to the module of the reference that gives the same, ``{"layer_0":
    "bert.encoder.layer.0"}``; what ``python -m zoo check`` compares one by one. The reference is the class that
    `hub_config` names under ``architectures``."""
    folder: Path | None = None
    """Where ``golden/``, ``published.json`` and ``placement.json`` are; None: ``zoo/<name>``, which models of other
    packages cannot have."""
    mutants: str | None = None
    """Module with the mutants that ``python -m zoo.authoring.mutation`` tries; None: ``zoo.<name>.mutants``."""
    demo: Callable[[], Demo] | None = None
    """What ``python -m zoo run`` shows; imports the demo's module inside, which nothing else needs."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"model {self.name!r}: the name must be a Python identifier, it names a folder too")
        for mesh in self.meshes:
            MeshShape.parse(mesh)
        for name, case in self.cases.items():
            if case.variant not in self.variants:
                raise ValueError(f"{self.name}: case {name!r} is of variant {case.variant!r}, which there is not")
            foreign = sorted({*(case.meshes or ()), *(case.quick or ())} - set(self.meshes))
            if foreign:
                raise ValueError(
                    f"{self.name}: case {name!r} is for {', '.join(foreign)}; the model claims {', '.join(self.meshes)}"
                )
        unknown = sorted(set(self.sources) - set(self.variants))
        if unknown:
            raise ValueError(f"{self.name}: source of {', '.join(unknown)}, which are no variants")

    @property
    def files(self) -> Path:
        """The folder of goldens and of what else is recorded."""
        return self.folder or ROOT / self.name

    @property
    def golden_folder(self) -> Path:
        """Where the golden files are."""
        return self.files / "golden"

    def golden_path(self, case: str) -> Path:
        """Where the golden of a case is stored."""
        return self.golden_folder / f"{case}.safetensors"

    def meshes_of(self, case: str) -> tuple[str, ...]:
        """The meshes that a case is checked on; where the environment sets `SLOW`, on those too that take long."""
        chosen, quick = self.cases[case].meshes, self.cases[case].quick
        if quick is not None and not os.environ.get(SLOW):
            return quick
        return self.meshes if chosen is None else chosen

    def config(self, variant: str) -> Any:
        """The config of a variant. ValueError that lists all of them if there is none of that name."""
        if variant not in self.variants:
            raise ValueError(f"{self.name} has no variant {variant!r}; expected one of {', '.join(self.variants)}")
        return self.variants[variant]

    def config_of(self, case: str) -> Any:
        """The config that a golden case is of: its variant's, or what its `cut` makes of that."""
        about = self.cases[case]
        return about.cut(self.config(about.variant))

    def key_map(self, variant: str) -> KeyMap:
        """The key map of a variant. ValueError where the model has none."""
        if self.keys is None:
            raise ValueError(f"{self.name} has no key map: it does not load checkpoints")
        return self.keys(self.config(variant))

    def shapes(self, config: Any) -> Any:
        """Parameters of the module of `config` as a tree of jax.ShapeDtypeStruct; computes nothing."""
        if self.layer is None:
            return self.traced(config)
        params: dict[str, Any] = self.traced(replace(config, num_hidden_layers=1))["params"]
        layer = params.pop(f"{self.layer}0")
        return {"params": {**params, **{f"{self.layer}{index}": layer for index in range(config.num_hidden_layers)}}}

    def traced(self, config: Any) -> Any:
        """The same, from the module itself."""
        import jax

        module = self.build(config)
        like = {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in self.example(config).items()}
        # The key is made inside, because outside it would be an array and start a backend.
        return jax.eval_shape(lambda inputs: module.init(jax.random.key(0), **inputs), like)


def apply_as(output: str) -> Callable[[Any], Callable[[Any, Inputs], Outputs]]:
    """The `forward` of a model whose module takes the inputs by name and returns one array: it is named `output`."""

    def forward(module: Any) -> Callable[[Any, Inputs], Outputs]:
        def run(params: Any, inputs: Inputs) -> Outputs:
            return {output: module.apply(params, **inputs)}

        return run

    return forward


def synthetic_checkpoint(model: Model, variant: str, seed: int = 0) -> Iterable[tuple[str, np.ndarray]]:
    """Names and made-up tensors of a checkpoint, one at a time, the same on every machine; `save_checkpoint` takes it.

    ValueError where the model makes none up.
    """
    if model.synthetic is None:
        raise ValueError(f"{model.name} makes up no checkpoints")
    return model.synthetic(model.config(variant), seed)


def names() -> tuple[str, ...]:
    """Names of the models of this package, sorted."""
    return tuple(sorted(path.parent.name for path in ROOT.glob("*/registration.py")))


def model(name: str) -> Model:
    """The model of that name, of this package or of another that is installed.

    ValueError that lists all of them if there is none of that name, and as of `models` where the name is not ours.
    """
    return _own(name) if name in names() else _of(name, models())


def models(others: Iterable[Zoo] = ()) -> dict[str, Model]:
    """Every model by name: those of this package, of the packages that are installed, and of `others`.

    ZooError, which is a ValueError, if two have the same name, or if what another package gives cannot be used.
    """
    found = {name: _own(name) for name in names()}
    whose = dict.fromkeys(found, "pytest-tt")
    for zoo in (*installed(), *others):
        for other in zoo.models:
            _check(other, zoo)
            if found.get(other.name) is other:
                continue  # an installed package whose plugin gives it too
            if other.name in found:
                raise ZooError(
                    f"two models are named {other.name!r}, of {whose[other.name]} and of {zoo.origin}: rename the one "
                    f"in {other.folder}; {zoo.remedy}"
                )
            found[other.name], whose[other.name] = other, zoo.origin
    return dict(sorted(found.items()))


def _own(name: str) -> Model:
    found: Model = importlib.import_module(f"zoo.{name}.registration").MODEL
    return found


def _of(name: str, found: Mapping[str, Model]) -> Model:
    if name not in found:
        raise ValueError(f"no such model: {name}; expected one of {', '.join(found)}")
    return found[name]


def _check(given: Any, zoo: Zoo) -> None:
    """ZooError unless `given` is a model whose files are its own package's."""
    if not isinstance(given, Model):
        raise ZooError(f"{zoo.origin}: gives {of_type(given)}, expected zoo.registry.Model; {zoo.remedy}")
    if given.folder is None:
        raise ZooError(
            f"{zoo.origin}: model {given.name!r} does not say where its goldens are: give it "
            f"folder=Path(__file__).parent; {zoo.remedy}"
        )
