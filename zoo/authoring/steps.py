"""The steps from a new folder to a finished model, a function each: it says what it found, or raises `Left`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.compare import compare
from pytest_tt.golden import GoldenError, load, unused
from pytest_tt.targets.mesh import MeshShape
from zoo import registry
from zoo.authoring import placement_record, published
from zoo.authoring.folder import summary, todos
from zoo.authoring.walk import Left, on_host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_tt.compare import Comparison
    from zoo.authoring.model_class import Saved
    from zoo.authoring.walk import Walk


def parameters(walk: Walk) -> str:
    """The key map takes what the reference saves, by name and shape, and fills every parameter; for every variant."""
    model = walk.model
    for variant in model.variants:
        walk.kind(model.config(variant))
    walk.need_torch()
    from zoo.authoring.model_class import saved_tensors
    from zoo.checkpoints.loading import CheckpointError, convert_tensors

    kinds = set()
    for variant in (*walk.variants, *(name for name in model.variants if name not in walk.variants)):
        config = model.config(variant)
        kind = walk.kind(config)
        kinds.add(kind)
        saved = saved_tensors(kind, walk.hub_config(config))
        unfinished = [rule.pattern for rule in model.key_map(variant).rules if "TODO" in _targets(rule)]
        if unfinished:
            raise Left(
                f"{len(unfinished)} of {len(model.key_map(variant).rules)} rules have no parameter yet, the first is "
                f"{unfinished[0]}",
                f"name the parameter that each fills, and how, in {walk.place('params.py')}",
            )
        shapes = model.architecture.shapes(config)
        like = _like(saved, shapes)
        try:
            convert_tensors(like, config, model.key_map(variant), shapes)
        except CheckpointError as error:
            text = str(error).replace("tensors: does not hold", f"what {kind} saves does not hold")
            raise Left(
                f"{variant}: {text}", f"fix key_map in {walk.place('params.py')}, or the names in model.py"
            ) from None
        if variant in walk.variants:
            _check_made_up(walk, variant, saved)
    count = len(model.variants)
    who = f"{' and '.join(sorted(kinds))} save{'s' * (len(kinds) == 1)}"
    return f"{who} what the key map takes, names and shapes, in {count} variant{'s' * (count != 1)}"


def _like(saved: Saved, shapes: Any) -> dict[str, np.ndarray]:
    """Zeros of these shapes that take no memory, in the dtype of the parameters: large models are converted too."""
    import jax

    floats = [leaf.dtype for leaf in jax.tree.leaves(shapes) if jax.numpy.issubdtype(leaf.dtype, np.floating)]
    wanted = np.dtype(floats[0]) if floats else np.dtype(np.float32)
    return {
        name: np.broadcast_to(np.zeros((), wanted if dtype.kind == "f" else dtype), shape)
        for name, (shape, dtype) in saved.items()
    }


def _targets(rule: Any) -> str:
    return rule.target if isinstance(rule.target, str) else " ".join(target.path for target in rule.target)


def _check_made_up(walk: Walk, variant: str, saved: Mapping[str, tuple[tuple[int, ...], Any]]) -> None:
    """The made-up checkpoint has what the reference saves: transformers fills what is missing with random numbers."""
    made_up = {name: tensor.shape for name, tensor in walk.model.synthetic_checkpoint(variant)}
    wrong = [
        f"{name} {shape}, made up: {made_up.get(name, 'not at all')}"
        for name, (shape, dtype) in saved.items()
        if np.issubdtype(dtype, np.floating) and made_up.get(name) != shape
    ]
    if wrong:
        raise Left(
            f"{variant}: the made-up checkpoint is not like the reference's in {len(wrong)} tensors: "
            f"{'; '.join(wrong[:3])}{' …' if len(wrong) > 3 else ''}",
            f"fix `synthetic_checkpoint` in {walk.place('params.py')}",
        )


def blocks(walk: Walk) -> str:
    """What each module gives, against the reference's; the first that differs is named."""
    model = walk.model
    for variant in walk.variants:
        walk.kind(model.config(variant))
    named = None if model.checkpoint is None else model.checkpoint.blocks
    if named is None:
        raise Left(
            "the registration names no blocks",
            f"give `blocks` in {walk.place('registration.py')}: which module of ours is which of the reference's",
        )
    walk.need("parameters")
    walk.need_torch()
    from zoo.authoring.blocks import Agreement, BlocksError, first_difference, kinds_of, run_ours, run_theirs
    from zoo.checkpoints.loading import convert_tensors
    from zoo.references.huggingface import loaded_model

    told = []
    first: dict[str, str] = {}  # other cases of a variant have other weights, or another dtype
    for case in walk.cases:
        first.setdefault(model.goldens[case].variant, case)
    for variant, case in first.items():
        config = model.config(variant)
        pairs = dict(named(config))
        if not pairs:
            raise Left(f"{variant}: `blocks` is empty", f"name the modules in {walk.place('registration.py')}")
        tensors = dict(model.synthetic_checkpoint(variant))
        params = convert_tensors(tensors, config, model.key_map(variant), model.architecture.shapes(config))
        inputs = walk.golden(case).inputs
        reference = loaded_model(walk.kind(config), tensors.items(), walk.hub_config(config))
        try:
            theirs = run_theirs(reference, pairs.values(), inputs)
            ours = run_ours(model.architecture.build(config), model.architecture.forward, params, inputs)
            found = first_difference(pairs, ours, theirs, kinds_of(reference), inputs.get("attention_mask"))
        except BlocksError as error:
            raise Left(f"{variant}: {error}", f"fix `blocks` in {walk.place('registration.py')}") from None
        if not isinstance(found, Agreement):
            how = found.problem if found.comparison is None else _numbers(found.comparison)
            raise Left(
                f"{variant}: {found.ours} is the first of {len(pairs)} that differs from the reference's "
                f"{found.theirs}: {how}; {found.place} before it agree",
                f"compare {found.ours} in {walk.place('model.py')} with {found.kind}",
            )
        told.append(f"{variant}: all {found.count} agree (largest rel L2 {found.rel_l2:.1e}, {found.worst})")
    return "; ".join(told)


def output(walk: Walk) -> str:
    """What the golden of each small variant holds, on the host."""
    told = []
    for case in walk.cases:
        comparison = _against(walk, case, on_host(walk, case))
        if not comparison.passed:
            raise Left(
                f"{case}: {_failing(comparison)}", f"fix {walk.place('model.py')}: 'blocks' says where it begins"
            )
        now = "the reference" if walk.torch else "the golden (torch, to compute the reference, is not installed)"
        told.append(f"{case}: agrees with {now} ({_numbers(comparison)})")
    return "; ".join(told)


def meshes(walk: Walk) -> str:
    """The same on each mesh of simulated chips, sharded as the model says; and nothing that the TT compiler refuses."""
    walk.need("output")
    from pytest_tt.tt_compiler.upstream import refused

    largest, names = 0.0, _largest_first(walk)
    for mesh, cases in names.items():
        for case in cases:
            try:
                found = walk.on_mesh(case, mesh)
            except (ValueError, TypeError) as error:
                text = " ".join(str(error).split())
                raise Left(f"{case} on {mesh}: {text[:400]}", f"fix {walk.place('sharding.py')}") from None
            ops = refused(found.stablehlo)
            if ops:
                raise Left(
                    f"{case} on {mesh}: the TT compiler does not take {', '.join(ops)}",
                    f"write {walk.place('model.py')} without",
                )
            comparison = _against(walk, case, found.outputs)
            if not comparison.passed:
                raise Left(f"{case} on {mesh}: {_failing(comparison)}", f"fix {walk.place('sharding.py')}")
            distance = comparison.metrics()["rel_l2"]
            largest = max(largest, distance if isinstance(distance, float) else 0.0)
    return f"{', '.join(reversed(names))} agree (largest rel L2 {largest:.1e})"


def collectives(walk: Walk) -> str:
    """As many collectives as the model says, on each mesh."""
    walk.need("meshes")
    from zoo.authoring.on_mesh import mesh_of

    told, sharding = {}, walk.model.sharding
    for mesh, cases in _largest_first(walk).items():
        for case in cases:
            config = sharding.fit(walk.model.config_of(case), mesh_of(mesh))
            expected = sharding.declared(config, mesh_of(mesh), walk.golden(case).inputs, card=False)
            found = walk.on_mesh(case, mesh).collectives
            if found != expected:
                raise Left(
                    f"{case} on {mesh}: {_counts(found)}, the registration says {_counts(expected)}",
                    f"find out why, then fix `collectives` or the shardings in {walk.place('sharding.py')}",
                )
            told[mesh] = _counts(found)
    by_text = {text: [mesh for mesh in reversed(told) if told[mesh] == text] for text in told.values()}
    return "; ".join(f"{text} on {', '.join(on)}" for text, on in reversed(by_text.items()))


def goldens(walk: Walk) -> str:
    """Every case has its file, no file is of no case, and what is small is what the reference gives now."""
    model = walk.model
    record = f"python -m zoo golden {model.name}"
    if walk.command != model.name and walk.folder.parent != registry.ROOT:  # found by its folder, perhaps not by name
        record = f"give the package an entry point (docs/zoos_elsewhere.md), then {record}"
    missing = [case for case in model.goldens if not model.golden_path(case).is_file()]
    if missing:
        raise Left(f"not recorded: {', '.join(missing)}", record)
    stray = [path.name for path in unused(model.golden_folder, model.goldens)]
    if stray:
        raise Left(f"of no case: {', '.join(stray)}", f"declare it in {walk.place('registration.py')}, or delete it")
    from zoo.authoring.goldens import NOISE, as_stored, differences

    for case in model.goldens:
        try:
            stored = load(model.golden_path(case))
        except GoldenError as error:
            raise Left(f"{case}: {error}", record) from None
        if walk.torch and case in walk.cases:
            changes = list(differences(stored, as_stored(case, walk.golden(case))))
            if any(amount > NOISE for _, amount in changes):
                text = "; ".join(text for text, _ in changes)
                raise Left(f"{case} is not what the reference gives now: {text}", record)
    walk.need_torch()
    count = len(model.goldens)
    return f"{count} recorded, and of {', '.join(walk.cases)} what the reference gives now"


def complete(walk: Walk) -> str:
    """Nothing in the folder says TODO, and README, tests and mutants are there."""
    missing = [] if any(walk.folder.glob("test_*.py")) else [f"test_{walk.model.name}.py"]
    if not any((folder / "README.md").is_file() for folder in (walk.folder, walk.folder.parent)):
        missing.append("README.md")  # of a package with one model, it may be that of the package
    if missing:
        raise Left(f"missing: {', '.join(missing)}", f"write {', '.join(map(walk.place, missing))}")
    found = todos(walk.folder)
    if found:
        raise Left("still to be written\n" + "\n".join(summary(found)), f"grep -n TODO -r {walk.place('')}")
    checkpoint = walk.model.checkpoint
    declares = checkpoint is None or checkpoint.hub_config is None or checkpoint.config_keys is not None
    if walk.folder.parent == registry.ROOT and not declares:
        raise Left(
            "nothing says what the keys of its config.json mean", "declare config_keys: zoo/checkpoints/config_keys.py"
        )
    if walk.folder.parent == registry.ROOT:
        _written_down(walk)
    table = registry.ROOT.parent / "README.md"
    if walk.folder.parent == registry.ROOT and table.is_file():
        rows = re.findall(r"^\| \[(\w+)\]\(\S*zoo/", table.read_text(encoding="utf-8"), re.MULTILINE)
        if rows and walk.model.name not in rows:
            raise Left("README.md has no line for it", f"add {walk.model.name} to the table of models in README.md")
    return "README, tests, and no TODO left"


def _written_down(walk: Walk) -> None:
    """What is published, and where arrays lie, as the contract test of the zoo's own models asks for it."""
    model = walk.model
    if model.sources:
        wrong = published.problems(model)
        if wrong:
            raise Left(f"{published.FILE}: {wrong[0]}", f"write it down in {walk.place(published.FILE)}")
    for variant in walk.variants:
        wrong = placement_record.problems(model, variant)
        if wrong:
            raise Left(f"{placement_record.FILE}: {wrong[0]}", f"python -m zoo placement {model.name}, and read it")


STEPS: tuple[tuple[str, Callable[[Walk], str]], ...] = (
    ("parameters", parameters),
    ("blocks", blocks),
    ("output", output),
    ("meshes", meshes),
    ("collectives", collectives),
    ("goldens", goldens),
    ("complete", complete),
)


def _against(walk: Walk, case: str, outputs: Mapping[str, np.ndarray]) -> Comparison:
    """By the bounds of simulated chips, as the contract test compares."""
    bounds, golden = walk.model.goldens[case].own_bounds, walk.golden(case)
    return compare(outputs, golden.outputs, bounds=bounds, recorded=registry.recorded_bounds(golden, "sim"))


def _numbers(comparison: Comparison) -> str:
    metrics = comparison.metrics()
    pcc, rel_l2 = metrics["pcc"], metrics["rel_l2"]
    parts = [f"PCC {pcc:.6f}" if isinstance(pcc, float) else "PCC undefined"]
    parts += [f"rel L2 {rel_l2:.1e}" if isinstance(rel_l2, float) else "not finite, or of another shape"]
    return ", ".join(parts)


def _failing(comparison: Comparison) -> str:
    """Which outputs are not as they should be, the worst with its numbers."""
    names = [
        *(f"{name} is missing" for name in comparison.missing),
        *(f"{name} is not of the golden" for name in comparison.unexpected),
    ]
    worst = comparison.worst
    if worst is not None and not worst.passed:
        names.append(f"{worst.name} differs, {_numbers(comparison)}")
    return "; ".join(names)


def _largest_first(walk: Walk) -> dict[str, list[str]]:
    """Mesh -> the cases to run on it: simulated chips are as many as the first mesh has."""
    found: dict[str, list[str]] = {}
    for case in walk.cases:
        claimed = walk.model.goldens[case].meshes
        for mesh in walk.model.sharding.meshes if claimed is None else claimed:
            found.setdefault(mesh, []).append(case)
    return dict(sorted(found.items(), key=lambda pair: -MeshShape.parse(pair[0]).chips))


def _counts(collectives: Mapping[str, int] | None) -> str:
    if not collectives:
        return "none"
    return ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in collectives.items())
