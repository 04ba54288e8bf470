"""What the steps of ``python -m zoo check`` share: what they found, the model, its small cases, and their results."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.golden import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from pytest_tt.golden import Golden
    from zoo.authoring.on_mesh import OnMesh
    from zoo.registry import Model

OK, LEFT, NONE = "ok", "left", "-"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step found: `state` is `OK`, `LEFT`, or `NONE` if the model has no such thing to check."""

    step: str
    state: str
    what: str
    do: str = ""
    """What to do; empty unless something is left."""

    def lines(self) -> list[str]:
        """For a terminal."""
        first, *more = self.what.splitlines() or [""]
        lines = [f"{self.state:<4}  {self.step}: {first}", *(f"      {line.strip()}" for line in more)]
        return [*lines, f"      do: {self.do}"] if self.do else lines


class Left(Exception):
    """A step that is not done: what is left, and how to do it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.do = do


class NotForThisModel(Exception):
    """A step that the model has nothing for; the text says why."""


INSTALL = "pip install 'pytest-tt[reference,zoo]'"


@dataclass
class Walk:
    """What is known of one model while its steps are checked. `variants` are those that are computed: small ones."""

    model: Model
    folder: Path
    command: str
    """How the user calls this model, for texts: its name or its folder."""
    done: set[str] = field(default_factory=set)
    """Steps that are done."""
    _goldens: dict[str, Golden] = field(default_factory=dict)
    _weights: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _computed: dict[tuple[str, str], OnMesh] = field(default_factory=dict)  # by case and mesh

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """The variants for tests; all where no name begins with ``tiny``."""
        tiny = tuple(name for name in self.model.variants if name.startswith("tiny"))
        return tiny or tuple(self.model.variants)

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """The golden cases of `variants` that compare outputs on meshes. Left if no case is of them."""
        goldens = self.model.goldens
        found = tuple(name for name, case in goldens.items() if case.variant in self.variants and case.meshes != ())
        if not found:
            raise Left(
                f"no golden case is of {', '.join(self.variants)}", f"declare one in {self.place('registration.py')}"
            )
        return found

    @cached_property
    def torch(self) -> bool:
        """Whether torch and transformers are here."""
        try:
            import torch  # noqa: F401
            import transformers  # noqa: F401
        except ModuleNotFoundError:
            return False
        return True

    def need_torch(self) -> None:
        """Left where the reference cannot be computed."""
        if not self.torch:
            raise Left("not checked: torch or transformers is not installed, and the reference needs both", INSTALL)

    def need(self, step: str) -> None:
        """Left where `step` is not done yet."""
        if step not in self.done:
            raise Left(f"not checked: it waits for {step!r}", f"finish {step!r} first")

    def place(self, name: str) -> str:
        """A file of the model as the user finds it: relative to the working directory where that is above."""
        path = self.folder / name
        try:
            return str(path.relative_to(Path.cwd()))
        except ValueError:
            return str(path)

    @cached_property
    def hub_config(self) -> Callable[[Any], Mapping[str, Any]]:
        """config -> config.json by which transformers builds the reference. NotForThisModel where it does not."""
        checkpoint = self.model.checkpoint
        if checkpoint is None or checkpoint.hub_config is None or checkpoint.synthetic is None:
            raise NotForThisModel(
                "the reference is not a model of transformers (no checkpoint with hub_config and synthetic)"
            )
        return checkpoint.hub_config

    def kind(self, config: Any) -> str:
        """The reference's class of `config`. NotForThisModel where the reference is not a model of transformers."""
        names = self.hub_config(config).get("architectures") or [""]
        return str(names[0])

    def golden(self, case: str) -> Golden:
        """The golden of a case as its reference gives it now; without torch the recorded one. Left without either."""
        if case not in self._goldens:
            path = self.model.golden_path(case)
            if self.torch:
                quiet()
                self._goldens[case] = self.model.goldens[case].reference()
            elif path.is_file():
                self._goldens[case] = load(path)
            else:
                self.need_torch()
        return self._goldens[case]

    def weights(self, case: str) -> Mapping[str, Any]:
        """The parameters that a case is computed with."""
        if case not in self._weights:
            self._weights[case] = self.model.weights_of(case)
        return self._weights[case]

    def on_mesh(self, case: str, mesh: str) -> OnMesh:
        """What a case gives on the mesh of that name. ValueError where parameters, specs and mesh do not fit."""
        from zoo.authoring.on_mesh import computed_on_mesh

        if (case, mesh) not in self._computed:
            found = computed_on_mesh(self.model, case, mesh, self.weights(case), self.golden(case).inputs)
            self._computed[case, mesh] = found
        return self._computed[case, mesh]

    def where(self, error: BaseException) -> str:
        """The last line of the model's own files that `error` came through, ``zoo/m/model.py:12``; or the folder."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(self.folder)]
        return f"{self.place(Path(own[-1].filename).name)}:{own[-1].lineno}" if own else self.place("")


def quiet() -> None:
    """Keep transformers from telling its own tale between the lines."""
    from transformers.utils import logging as messages

    messages.set_verbosity(logging.CRITICAL)
    messages.disable_progress_bar()


def on_host(walk: Walk, case: str) -> dict[str, np.ndarray]:
    """What the model gives for a case's inputs, on the host, unjitted, and what of it the golden holds."""
    import jax
    import numpy as np

    model, about = walk.model, walk.model.goldens[case]
    architecture = model.architecture
    forward = (about.forward or architecture.forward)(architecture.build(model.config_of(case)))
    with jax.default_device(jax.devices("cpu")[0]):
        outputs = forward(walk.weights(case), dict(walk.golden(case).inputs))
    return model.selected(case, {name: np.asarray(value) for name, value in outputs.items()})
