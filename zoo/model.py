"""What the zoo knows of a model: one description, from which it is built, loaded, placed, executed and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from jax.sharding import Mesh

    from zoo.authoring.mutants import Mutants
    from zoo.checkpoints.hub import Source
    from zoo.checkpoints.key_map import KeyMap
    from zoo.cli.demo import Demo
    from zoo.parts.architecture import Architecture
    from zoo.parts.checkpoint import Checkpoint
    from zoo.parts.golden_case import GoldenCase
    from zoo.parts.sharding import Sharding
    from zoo.text.encoder_decoder import EncoderDecoder
    from zoo.text.generation import Decoder

ROOT = Path(__file__).parent
"""The zoo's own folder."""

SLOW = "ZOO_SLOW"
"""Environment variable: where it is set, the tests check every golden on every mesh that it is claimed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The description of a model in parts. ValueError where the parts contradict each other.

    Everything that the zoo does with a model, it finds by these fields: modules are free to have any name and content.
    A part that is None is something that the model does not have. What is slow to import is given by a function that
    imports it, so importing a registration starts no backend and imports neither torch, demo nor mutants::

        def mutants() -> Mutants:
            from zoo.bert.mutants import MUTANTS

            return MUTANTS

        MODEL = Model(
            name="bert",
            variants=CONFIGS,
            architecture=Architecture(build=Bert, forward=forward, example=example),
            sharding=Sharding(meshes=("1x1", "1x8"), param_specs=param_specs, input_specs=…, output_specs=…),
            checkpoint=Checkpoint(key_map=key_map, sources=SOURCES, hub_config=hub_config),
            goldens={"tiny": GoldenCase(variant="tiny", reference=reference, weights=weights)},
            mutants=mutants,
        )
    """

    name: str
    """A Python identifier. Ours is in the folder ``zoo/<name>``."""
    variants: Mapping[str, Any]
    """Frozen configs by upstream's names; names that begin with ``tiny`` are for tests."""
    architecture: Architecture
    """What it computes: module, forward pass, example inputs."""
    sharding: Sharding
    """Where its arrays lie, on which meshes."""
    checkpoint: Checkpoint | None = None
    """What its published weights look like. None: it does not load checkpoints."""
    goldens: Mapping[str, GoldenCase] = field(default_factory=dict)
    """What its outputs are compared with, by the names of the files."""
    decoder: Callable[[Any, Mesh], Decoder] | None = None
    """config (not fitted), mesh -> the model as `zoo.text.generation.Generator` writes text with it. Its configs have
    `vocab_size` and `max_position_embeddings`, and `forward` takes ``input_ids``, ``attention_mask`` and
    ``position_ids`` and gives ``logits``. None: it does not write text."""
    writer: Callable[[Any, Mesh], EncoderDecoder] | None = None
    """config (not fitted), mesh -> the model as `zoo.text.encoder_decoder.Writer` writes text with it. None: it has no
    encoder and decoder."""
    mutants: Callable[[], Mutants] | None = None
    """Wrong models that ``python -m zoo mutants`` tries; imports them inside. None only for models of other
    packages."""
    demo: Callable[[], Demo] | None = None
    """What ``python -m zoo run`` shows; imports it inside."""
    folder: Path | None = None
    """Where ``golden/``, ``published.json`` and ``placement.json`` are. None: ``zoo/<name>``; models of other packages
    must give ``Path(__file__).parent``."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"model {self.name!r}: the name must be a Python identifier, it names a folder too")
        meshes = self.sharding.meshes
        for name, case in self.goldens.items():
            if case.variant not in self.variants:
                raise ValueError(
                    f"{self.name}: case {name!r} is of variant {case.variant!r}; expected one of "
                    f"{', '.join(self.variants)}"
                )
            foreign = sorted({*(case.meshes or ()), *(case.quick or ())} - set(meshes))
            if foreign:
                raise ValueError(
                    f"{self.name}: case {name!r} is for {', '.join(foreign)}; the model claims {', '.join(meshes)}"
                )
        unknown = sorted(set(self.sources) - set(self.variants))
        if unknown:
            raise ValueError(
                f"{self.name}: source of {', '.join(unknown)}; expected variants: {', '.join(self.variants)}"
            )

    @property
    def sources(self) -> Mapping[str, Source]:
        """Published checkpoint of each variant that has one."""
        return {} if self.checkpoint is None else self.checkpoint.sources

    @property
    def small(self) -> tuple[str, ...]:
        """The variants for tests; all of a model that has no others."""
        return tuple(name for name in self.variants if name.startswith("tiny")) or tuple(self.variants)

    @property
    def files(self) -> Path:
        """The folder of goldens and of the other recorded files."""
        return self.folder or ROOT / self.name

    @property
    def golden_folder(self) -> Path:
        """Where the golden files are."""
        return self.files / "golden"

    def golden_path(self, case: str) -> Path:
        """Where the golden of a case is stored."""
        return self.golden_folder / f"{case}.safetensors"

    def meshes_of(self, case: str) -> tuple[str, ...]:
        """The meshes that a case is checked on; where the environment sets `SLOW`, also those that take long."""
        chosen, quick = self.goldens[case].meshes, self.goldens[case].quick
        if quick is not None and not os.environ.get(SLOW):
            return quick
        return self.sharding.meshes if chosen is None else chosen

    def config(self, variant: str) -> Any:
        """The config of a variant. ValueError that lists all of them if none has that name."""
        if variant not in self.variants:
            raise ValueError(f"{self.name} has no variant {variant!r}; expected one of {', '.join(self.variants)}")
        return self.variants[variant]

    def config_of(self, case: str) -> Any:
        """The config that a golden case is of: its variant's, or what its `cut` makes of that."""
        about = self.goldens[case]
        return about.cut(self.config(about.variant))

    def weights_of(self, case: str) -> Mapping[str, Any]:
        """The parameters that a golden was made with: NumPy leaves, not prepared for a mesh."""
        return self.goldens[case].weights(self.config_of(case))

    def selected(self, case: str, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What of the model's `outputs` (on the host) a golden holds."""
        return dict(self.goldens[case].select(self.config_of(case), outputs))

    def key_map(self, variant: str) -> KeyMap:
        """The key map of a variant. ValueError where the model has none."""
        if self.checkpoint is None:
            raise ValueError(f"{self.name} has no key map: it does not load checkpoints")
        return self.checkpoint.key_map(self.config(variant))

    def synthetic_checkpoint(self, variant: str, seed: int = 0) -> Iterable[tuple[str, np.ndarray]]:
        """Names and made-up tensors of a checkpoint, one at a time, the same on every machine.

        `zoo.checkpoints.tensor_files.save_checkpoint` takes them. ValueError where the model makes none up.
        """
        if self.checkpoint is None or self.checkpoint.synthetic is None:
            raise ValueError(f"{self.name} makes up no checkpoints")
        return self.checkpoint.synthetic(self.config(variant), seed)
