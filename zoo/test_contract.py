"""What every registered model owes: it builds, its weights fit, and on each mesh its golden, shardings and traffic."""

from __future__ import annotations

import inspect
import math
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from pytest_tt.compare import flatten
from pytest_tt.golden import digest
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.upstream import refused
from zoo.authoring import fit_table, placement_record, published
from zoo.authoring.goldens import folder_problems
from zoo.checkpoints.loading import convert_tensors, save_checkpoint
from zoo.checkpoints.placement import bytes_per_chip, load_params, place_params
from zoo.parts.sharding import tree_by_path
from zoo.programs import problems_of, programs_of, systems_of
from zoo.registry import SLOW

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jax.sharding import AbstractMesh

    from pytest_tt.tt_compiler.card_program import CardProgram
    from zoo.registry import Architecture, Model

COMPARED = "1x8"
"""A mesh for which programs are compiled for each system that usually has it."""

_last: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = {}
"""Weights of the case last asked for, and their digest: the meshes of a case come one after the other."""


def weights_of(model: Model, case: str) -> tuple[Mapping[str, Any], str]:
    key = (model.name, case)
    if key not in _last:
        _last.clear()
        try:
            weights = model.weights_of(case)
        except ModuleNotFoundError as error:
            pytest.skip(str(error))
        _last[key] = (weights, digest(weights))
    return _last[key]


@cache
def shapes_of(architecture: Architecture, config: Any) -> Any:
    """The shapes of the parameters of `config`, as tracing a module takes long; not to be changed."""
    return architecture.shapes(config)


def described(tree: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    """Path -> shape and dtype of each leaf, arrays or not."""
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        "/".join(str(getattr(key, "key", key)) for key in keys): (tuple(leaf.shape), np.dtype(leaf.dtype).name)
        for keys, leaf in pairs
    }


def check_fit(params: Any, specs: Any, mesh: AbstractMesh) -> None:
    """ValueError unless `specs`, which may be a prefix of `params`, divides each of them on `mesh`."""

    def below(spec: PartitionSpec, subtree: Any) -> None:
        for leaf in jax.tree.leaves(subtree):
            NamedSharding(mesh, spec).shard_shape(leaf.shape)

    jax.tree.map(below, specs, params, is_leaf=lambda node: isinstance(node, PartitionSpec))


def lies_as(sharding: Any, mesh: Any, spec: PartitionSpec, rank: int) -> bool:
    """Whether an array of `rank` axes that has `sharding` is spread over `mesh` by `spec`."""
    return bool(sharding.is_equivalent_to(NamedSharding(mesh, spec), rank))


def held(tree: Any) -> dict[Any, int]:
    """Chip -> bytes that it holds of the arrays in `tree`."""
    found: dict[Any, int] = {}
    for leaf in jax.tree.leaves(tree):
        for shard in leaf.addressable_shards:
            found[shard.device] = found.get(shard.device, 0) + shard.data.nbytes
    return found


def share(arrays: Mapping[str, Any], specs: Mapping[str, PartitionSpec], mesh: Any) -> int:
    """Bytes of `arrays` on each chip, predicted by `specs`."""
    return sum(
        math.prod(NamedSharding(mesh, specs[name]).shard_shape(array.shape)) * array.dtype.itemsize
        for name, array in arrays.items()
    )


def test_golden(zoo_model: Model, zoo_case: str, tt_run: Any, tt_mesh: Any, tt_jit: Any, tt_golden: Any) -> None:
    model, case = zoo_model, zoo_model.goldens[zoo_case]
    architecture, sharding, config = model.architecture, model.sharding, model.config_of(zoo_case)
    fitted = sharding.fit(config, tt_mesh)
    shapes = shapes_of(architecture, fitted)
    checker = tt_golden.at(model.golden_folder)
    golden = checker.load(zoo_case, reference=case.reference)
    weights, weights_digest = weights_of(model, zoo_case)

    params = place_params(model, config, tt_mesh, weights)
    assert described(params) == described(shapes)
    spec_of = sharding.param_spec_of(fitted, tt_mesh)
    for path, leaf in tree_by_path(params).items():
        assert lies_as(leaf.sharding, tt_mesh, spec_of(path), leaf.ndim), path
    assert held(params) == dict.fromkeys(tt_mesh.devices.flat, bytes_per_chip(model, config, tt_mesh, shapes))

    inputs, input_specs = dict(golden.inputs), sharding.input_specs(fitted, tt_mesh)
    output_specs = sharding.output_specs(fitted, tt_mesh)
    assert set(input_specs) == set(inputs)
    forward = tt_jit(
        architecture.forward(architecture.build(fitted)),
        in_shardings=(sharding.param_specs(fitted, tt_mesh), input_specs),
        out_shardings=output_specs,
    )
    tt_jit.work(**architecture.work(inputs))
    if layers := getattr(fitted, "num_hidden_layers", None):
        tt_jit.layers(layers)
    outputs = forward(params, inputs)

    assert set(outputs) == set(output_specs)
    for name, output in outputs.items():
        assert lies_as(output.sharding, tt_mesh, output_specs[name], output.ndim), name
    assert held(outputs) == dict.fromkeys(tt_mesh.devices.flat, share(outputs, output_specs, tt_mesh))
    (program,) = forward.programs
    _, taken = program.compiled.input_shardings[0]
    for name, value in inputs.items():
        assert lies_as(taken[name], tt_mesh, input_specs[name], value.ndim), name
    assert refused(program.stablehlo) == ()
    if program.collectives is not None:  # None: the backend does not tell
        assert program.collectives == sharding.declared(fitted, tt_mesh, inputs, card=tt_run.runs_tt)
    compared = model.selected(zoo_case, {name: np.asarray(output) for name, output in outputs.items()})
    checker(compared, zoo_case, reference=case.reference, weights=weights_digest, **case.bounds)


def test_golden_files(zoo_model: Model, zoo_golden_folder: list[Model]) -> None:
    """Each case has a golden file, and each golden file a case. After those that record goldens, where they do."""
    declared = {model.name: tuple(model.goldens) for model in zoo_golden_folder}
    problems = folder_problems(zoo_model.golden_folder, declared)
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_variant_on_every_mesh(zoo_model: Model, zoo_variant: str) -> None:
    """Shapes and shardings agree, for the sizes too that no golden is of. Nothing is computed, no chip is needed."""
    architecture, sharding, config = zoo_model.architecture, zoo_model.sharding, zoo_model.config(zoo_variant)
    # One layer has the outputs of all of them, and is traced in a moment.
    one = architecture.of_one_layer(config)
    shapes = {known: shapes_of(architecture, known) for known in (config, one)}
    names, outputs = set(described(shapes[config])), architecture.output_shapes(one, shapes[one])
    for text in sharding.meshes:
        mesh, fitted = placement_record.fitted_to(zoo_model, config, text)
        params = shapes[fitted] = shapes_of(architecture, fitted)
        assert set(described(params)) == names, f"{text}: fit changes the names"
        check_fit(params, sharding.param_specs(fitted, mesh), mesh)
        assert set(sharding.output_specs(fitted, mesh)) == set(outputs), text
        assert set(sharding.input_specs(fitted, mesh)) == set(architecture.example(fitted)), text
    # Of models of other packages, those that write it down.
    if zoo_model.folder is None or placement_record.path_of(zoo_model).is_file():
        problems = placement_record.problems(zoo_model, zoo_variant, shapes)
        assert not problems, "\n".join(problems)


def test_compiles(zoo_model: Model, zoo_compiled: str, tt_run: Any, tt_mesh: Any, tt_compile: Any) -> None:
    """By TT's compiler, from shapes alone: every program, for the smallest system that usually has such a mesh.

    The compiler makes the same program for all systems, see `body`, so that this one says whether it fits on the
    others. Where the environment sets `SLOW`, variants for tests are compiled for all systems that have the mesh
    `COMPARED`, to see that this holds.
    """
    mesh, problems = str(tt_run.mesh), []
    made: dict[str, list[CardProgram]] = {system: [] for system in systems_of(mesh)}
    compared = bool(os.environ.get(SLOW)) and mesh == COMPARED and zoo_compiled in zoo_model.small
    config = zoo_model.config(zoo_compiled)
    if layers := getattr(config, "num_hidden_layers", None):
        tt_compile.layers(layers)
    for program in programs_of(zoo_model, config, tt_mesh):
        first: CardProgram | None = None
        for system, programs in made.items():
            if first is not None and not compared:
                programs.append(first.on(system))
                continue
            try:
                compiled = tt_compile(program.function, *program.arguments, system=system)
            except TTCompileError as error:
                problems.append(f"{system}: {error}")
                continue
            programs.append(compiled)
            problems += [f"{system}: {program.name}: {problem}" for problem in problems_of(program, compiled)]
            if first is None:
                first = compiled
            elif body(compiled) != body(first):
                problems.append(f"{system}: {program.name}: another program than for {first.system}")
    for system, programs in made.items():
        problems += fit_table.problems(zoo_model, zoo_compiled, system, mesh, programs)
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def body(program: CardProgram) -> list[str]:
    """The lines of a compiled program but for what differs between systems: what it says of the system and of a chip,
    and how products are divided among a chip's cores."""
    lines = (line for line in program.ttnn.splitlines() if not re.match(r"#system_desc = |\s*ttcore\.device ", line))
    return [re.sub(r"matmul_program_config = #ttnn\.\w+<(?:[^<>]|<[^<>]*>)*>, ", "", line) for line in lines]


def test_as_published(zoo_model: Model, zoo_published: Path) -> None:
    """Every setting of each published variant is what its config.json says."""
    problems = published.problems(zoo_model)
    assert not problems, f"{zoo_published}:\n" + "\n".join(problems)


def test_initialised_on_the_host(zoo_model: Model, zoo_small: str, tt_mesh: Any, cpu_init_params: Any) -> None:
    architecture, sharding = zoo_model.architecture, zoo_model.sharding
    fitted = sharding.fit(zoo_model.config(zoo_small), tt_mesh)
    module, inputs = architecture.build(fitted), architecture.example(fitted)
    arguments = [inputs[name] for name in inspect.signature(module.__call__).parameters if name in inputs]
    assert len(arguments) == len(inputs)
    params = cpu_init_params(module, *arguments, shardings=sharding.param_specs(fitted, tt_mesh))
    assert described(params) == described(shapes_of(architecture, fitted))
    assert all(np.isfinite(leaf).all() for leaf in flatten(params).values())
    assert all(leaf.devices() == set(tt_mesh.devices.flat) for leaf in jax.tree.leaves(params))


def test_checkpoint_becomes_the_parameters(zoo_model: Model, zoo_checkpoint: str, tt_mesh: Any, tmp_path: Path) -> None:
    """What upstream names and shapes, the key map turns into all of the parameters and nothing else."""
    architecture, config = zoo_model.architecture, zoo_model.config(zoo_checkpoint)
    shapes = shapes_of(architecture, config)
    tensors = dict(zoo_model.synthetic_checkpoint(zoo_checkpoint))
    for name, tensor in zoo_model.synthetic_checkpoint(zoo_checkpoint):
        np.testing.assert_array_equal(tensor, tensors[name])
    params = convert_tensors(tensors, config, zoo_model.key_map(zoo_checkpoint), shapes)
    assert described(params) == described(shapes)
    assert all(np.isfinite(leaf).all() for leaf in flatten(params).values())

    save_checkpoint(tmp_path, tensors.items(), shards=3)
    loaded = load_params(zoo_model, zoo_checkpoint, tt_mesh, tmp_path)
    assert described(loaded) == described(shapes_of(architecture, zoo_model.sharding.fit(config, tt_mesh)))
    placed = flatten(place_params(zoo_model, config, tt_mesh, params))
    for path, leaf in flatten(loaded).items():
        np.testing.assert_array_equal(leaf, placed[path], err_msg=path)
