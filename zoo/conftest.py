"""The cases of the contract test: every golden case of every registered model, on each mesh that it claims."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.discovery import ZooError, hooked
from pytest_tt.items import chosen_meshes
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.tt_compiler.build import CompilerMissing, find_build
from zoo import registry
from zoo.authoring import published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from jax.sharding import Mesh

    from pytest_tt import TTRun
    from zoo.registry import Model


NOT_COMPILED = ("1x3", "1x5", "1x7", "4x6")
"""Meshes of our tests that TT's compiler refuses ("Mesh is not valid"), so that nothing is emulated on them."""

FEW = 8
"""Compiling what makes parameters takes XLA many seconds for more chips."""


@pytest.fixture
def any_mesh(tt_run: TTRun, tt_mesh: Mesh) -> Mesh:
    """`tt_mesh`, also of a number of chips that divides nothing; skips where TT's compiler has none of this shape."""
    if tt_run.backend == "emu" and str(tt_run.mesh) in NOT_COMPILED:
        pytest.skip(f"TT's compiler has no mesh {tt_run.mesh}")
    return tt_mesh


def pytest_tt_zoo_models() -> Iterable[Model]:
    """The zoo's own models, and those of the packages that are installed."""
    return registry.models().values()


def pytest_tt_model(item: pytest.Item) -> str | None:
    """Tests in the folder of a model are of that model."""
    folder = item.path.parent
    return folder.name if folder.parent == registry.ROOT and (folder / "registration.py").is_file() else None


def all_models(config: pytest.Config) -> dict[str, Model]:
    """Ours and those of other packages. CollectError if two have the same name, or one package's cannot be used."""
    try:
        return registry.models(hooked(config, without=pytest_tt_zoo_models))
    except ZooError as error:
        raise pytest.Collector.CollectError(str(error)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wanted = [name for name in _PARAMETERS if name in metafunc.fixturenames]
    if wanted:
        (name,) = wanted
        models = all_models(metafunc.config).values()
        metafunc.parametrize(("zoo_model", name), list(_PARAMETERS[name](metafunc.config, models)))


def _cases(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """Every golden case on each of its usual meshes, or on the one that is asked for."""
    for model in models:
        for case, about in model.goldens.items():
            usual = model.meshes_of(case)
            asked = chosen_meshes(config, model.sharding.meshes if about.meshes is None else about.meshes)
            for mesh in asked if usual and len(asked) == 1 else usual:
                mark = pytest.mark.tt(mesh=mesh, model=model.name, variant=model.goldens[case].variant)
                yield pytest.param(model, case, marks=mark, id=f"{model.name}-{case}-{mesh}")


def _variants(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """Those whose goldens are compared; where `SLOW` is set all of them, as tracing the large ones takes seconds."""
    for model in models:
        of_goldens = {about.variant for case, about in model.goldens.items() if model.meshes_of(case)}
        for variant in model.variants:
            if variant in of_goldens or os.environ.get(registry.SLOW):
                yield pytest.param(model, variant, id=f"{model.name}-{variant}")


def _small(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """Variants for tests (all of a model that has no others), on the largest mesh of up to `FEW` chips."""
    for model in models:
        meshes = chosen_meshes(config, model.sharding.meshes)
        if len(meshes) > 1:
            meshes = tuple(mesh for mesh in meshes if MeshShape.parse(mesh).chips <= FEW) or meshes
        for variant in model.small:
            mesh = meshes[-1]
            mark = pytest.mark.tt(mesh=mesh, model=model.name, variant=variant)
            yield pytest.param(model, variant, marks=mark, id=f"{model.name}-{variant}-{mesh}")


def _initialised(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """The variants that `_small` gives; of models that load their weights only where `SLOW` is set, as XLA takes
    seconds for each."""
    slow = bool(os.environ.get(registry.SLOW))
    return _small(config, [model for model in models if slow or not model.sources])


def _compiled(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """Variants for tests (all of a model that has no others) on every mesh, or on the one that is asked for.

    All variants where `SLOW` is set. Without TT's compiler one test that says so: results need no row for each.
    """
    try:
        find_build()
    except CompilerMissing as missing:
        yield pytest.param(None, None, marks=pytest.mark.skip(reason=str(missing)), id="no compiler")
        return
    for model in models:
        for variant in model.variants if os.environ.get(registry.SLOW) else model.small:
            for mesh in chosen_meshes(config, model.sharding.meshes):
                mark = pytest.mark.tt(mesh=mesh, model=model.name, variant=variant)
                yield pytest.param(model, variant, marks=mark, id=f"{model.name}-{variant}-{mesh}")


def _golden_folders(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """Each folder of goldens once, with the models that keep them there."""
    folders: dict[Path, list[Model]] = {}
    for model in models:
        folders.setdefault(model.golden_folder, []).append(model)
    for keepers in folders.values():
        yield pytest.param(keepers[0], keepers, id="-".join(model.name for model in keepers))


def _written(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """Small variants of models that make up checkpoints as transformers reads them."""
    for model in models:
        checkpoint = model.checkpoint
        if checkpoint is not None and checkpoint.synthetic is not None and checkpoint.hub_config is not None:
            for variant in model.variants:
                if variant.startswith("tiny"):
                    yield pytest.param(model, variant, id=f"{model.name}-{variant}")


def _checkpoints(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """The small variants of models that load checkpoints and make them up."""
    return _small(
        config, [model for model in models if model.checkpoint is not None and model.checkpoint.synthetic is not None]
    )


def _published(config: pytest.Config, models: Iterable[Model]) -> Iterable[Any]:
    """Models with published variants: ours, and those of other packages that write down what is published."""
    for model in models:
        path = published.path_of(model)
        if (model.sources and model.folder is None) or path.is_file():
            yield pytest.param(model, path, id=model.name)


_PARAMETERS: dict[str, Callable[[pytest.Config, Iterable[Model]], Iterable[Any]]] = {
    "zoo_case": _cases,
    "zoo_variant": _variants,
    "zoo_small": _initialised,
    "zoo_checkpoint": _checkpoints,
    "zoo_compiled": _compiled,
    "zoo_golden_folder": _golden_folders,
    "zoo_written": _written,
    "zoo_published": _published,
}
