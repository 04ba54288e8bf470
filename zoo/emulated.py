"""Golden cases on emulated chips: what TT's compiler makes of a forward pass, executed with a chip's numbers.

The contract test does this on the backend ``emu``. Here it is without a test run: for recorded predictions, and for
mutants. Needs TT's compiler; no card.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pytest_tt.targets.systems import SYSTEMS
from zoo.checkpoints.placement import place_params
from zoo.programs import jitted
from zoo.text.generation import Generator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jax.sharding import Mesh

    from pytest_tt.emulator.run import Emulator
    from zoo.registry import Model

WEIGHTS: Mapping[str, Mapping[str, str]] = {"bfloat16": {}, "bfp_bf8": {"experimental_weight_dtype": "bfp_bf8"}}
"""Ways to store weights, by the name that predictions give them, and the options of TT's compiler for each.

``bfloat16``: the parameters are rounded to it, and have the dtypes of published ones: float32 where the module of
a config with a dtype says so (scales of norms), else bfloat16. ``bfp_bf8``: the parameters are the golden's own, and
the compiler stores those that it is told to be weights in blocks of 8 bits."""


@dataclass
class EmulatedChips:
    """Simulated chips of `mesh` that compute as those of `system` do.

    A program that was there before is compiled once: mutants of parameters alone share one.
    """

    mesh: Mesh
    system: str
    compiler: str | None = None
    """Package and version of TT's compiler, once it has compiled something."""
    _programs: dict[tuple[object, ...], Emulator] = field(default_factory=dict, repr=False)

    def forward(
        self,
        model: Model,
        case: str,
        params: Any,
        inputs: Mapping[str, Any],
        *,
        config: Any = None,
        weights: str | None = None,
    ) -> dict[str, np.ndarray]:
        """What a golden case of `model` gives, outputs by name on the host.

        params: on the host, as the module of `config` names them (default: that of the case). weights: of `WEIGHTS`;
        None leaves them as they are. Raises TTCompileError for a program that TT's compiler refuses, EmulationError
        for one that the emulator does not understand, CompilerMissing without the compiler.
        """
        config = model.config_of(case) if config is None else config
        config, params = _with_weights(model, config, params, weights)
        fitted = model.sharding.fit(config, self.mesh)
        function = jitted(model, fitted, self.mesh, model.goldens[case].forward)
        given = (place_params(model, config, self.mesh, params), {name: np.asarray(x) for name, x in inputs.items()})
        return {name: np.asarray(value) for name, value in self._emulated(function, weights)(*given).items()}

    def follow(
        self, model: Model, case: str, params: Any, tokens: np.ndarray, given: int, *, weights: str | None = None
    ) -> np.ndarray:
        """As `Generator.follow`: logits after each of `tokens` [texts, length] from the last of the `given` on, by a
        prefill and a step for each token. Otherwise as `forward`.
        """
        assert model.decoder is not None
        config, params = _with_weights(model, model.config_of(case), params, weights)
        generator = Generator(
            model.decoder(config, self.mesh),
            place_params(model, config, self.mesh, params),
            self.mesh,
            prompt_slots=given,
            slots=tokens.shape[1],
            jit=lambda function, **options: self._emulated(jax.jit(function, **options), weights),
        )
        return generator.follow(tokens.tolist(), given)

    def forget(self) -> None:
        """Give up the programs."""
        self._programs.clear()

    def _emulated(self, function: Any, weights: str | None) -> Callable[..., Any]:
        """`function`, jitted, as the chips compute it, of arguments that are always of the same shapes."""
        options = WEIGHTS[weights] if weights else {}
        made: list[tuple[Emulator, Any]] = []

        def call(*given: Any) -> Any:
            if not made:  # a text calls it for each token, and lowering takes as long as executing
                structure = jax.tree.structure(jax.eval_shape(function, *given))
                made.append((self._program(function, given, options), structure))
            ((emulator, structure),) = made
            return jax.tree.unflatten(structure, emulator(*jax.tree.leaves(given)))

        return call

    def _program(self, function: Any, given: tuple[Any, ...], options: Mapping[str, str]) -> Emulator:
        from pytest_tt.emulator.numerics import chip
        from pytest_tt.emulator.run import Emulator
        from pytest_tt.tt_compiler.compile import compile_program
        from pytest_tt.tt_compiler.lowering import lower

        lowered = lower(function, given, {})
        key = (lowered.module, *sorted(options.items()))
        if key not in self._programs:
            card = compile_program(lowered, system=self.system, options=dict(options))
            self.compiler = str(card.compiler)
            numerics = chip(SYSTEMS[self.system].arch)
            self._programs[key] = Emulator.of(card, lowered, self.mesh, numerics)
        return self._programs[key]


def _with_weights(model: Model, config: Any, params: Any, weights: str | None) -> tuple[Any, Any]:
    """`config` and `params` with `weights`, of `WEIGHTS`."""
    if weights != "bfloat16":
        return config, params
    params = in_bfloat16(params)
    if not hasattr(config, "dtype"):
        return config, params
    config = replace(config, dtype=weights)
    shapes = model.architecture.shapes(config)
    return config, jax.tree.map(lambda leaf, shape: leaf.astype(shape.dtype), params, shapes)


def in_bfloat16(params: Any) -> Any:
    """A tree of numpy arrays, those of float32 rounded to bfloat16."""
    import ml_dtypes

    def rounded(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(ml_dtypes.bfloat16) if leaf.dtype == np.float32 else leaf

    return jax.tree.map(rounded, params)
