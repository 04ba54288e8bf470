"""Runs a compiled program on simulated chips, each chip with its share of the arrays: one jitted function, or one for
each kind of op where a program repeats them often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from pytest_tt.emulator import control
from pytest_tt.emulator.elements import dtype_of
from pytest_tt.emulator.errors import ChipsDisagreeError, EmulationError
from pytest_tt.emulator.exports import export_key
from pytest_tt.emulator.machine import AXES, Machine
from pytest_tt.emulator.numerics import EXACT
from pytest_tt.emulator.op_by_op import SHARES, OpByOp
from pytest_tt.emulator.pairs import joined, laid_out, split
from pytest_tt.emulator.program import EmulatedProgram
from pytest_tt.emulator.sharding import on_mesh, spec_of, spec_of_shares, unsplit_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_tt.emulator.exports import Exports
    from pytest_tt.emulator.numerics import Numerics
    from pytest_tt.tt_compiler.artifact import Split
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.lowering import Lowered, Result
    from pytest_tt.tt_compiler.ttnn_module import Op, Tensor

# By how much chips may differ in what they all hold, of its largest magnitude: they may add in different orders.
_SAME_EXACTLY = 1e-5
_SAME_ROUNDED = 2e-2

# Whether XLA optimizes what it compiles, whatever XLA_FLAGS and jax say. Without rounding, no digit depends on it, and
# it takes less than half of the time. With the chip's numbers it must contract multiplications and additions: see
# vector_unit.
_OPTIMIZED = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
_NOT_OPTIMIZED = {"xla_backend_optimization_level": 0}

MANY = 4.0
"""How often a program has each kind of op, from which on it is executed op by op. Models of two or three layers have 2
to 3.7, and are compiled about as fast at once; one of twelve has 10, and XLA needs a quarter of the time."""


@dataclass(frozen=True, slots=True)
class Output:
    """A result as the user gets it."""

    path: str
    shape: tuple[int, ...]
    dtype: Any
    sharding: NamedSharding


class Emulator:
    """A compiled program on simulated chips::

        lowered = lower(jitted, args)                               # pytest_tt.tt_compiler.lowering
        card = compile_program(lowered, system="n300")              # pytest_tt.tt_compiler.compile
        emulator = Emulator.of(card, lowered, mesh, CHIP)           # mesh: of simulated chips, as in the lowering
        results = emulator(*jax.tree.leaves((args, kwargs)))        # flat, in the order of the function's results

    A call takes all leaves of the dynamic arguments, also those that the program does not use, as arrays on the mesh,
    or on the host; it returns arrays on the mesh, of the user's types and with the shardings that TT's compiler chose
    where the user left them open. It is asynchronous but for the comparison of what several chips hold: a difference
    is an EmulationError that names the result. The first call compiles for XLA; `compile` does so ahead. Donated
    arguments are deleted, as on the card.
    """

    def __init__(
        self,
        program: EmulatedProgram,
        mesh: Mesh,
        outputs: Sequence[Output],
        *,
        kept: Sequence[int] | None = None,
        in_shardings: Sequence[Any] = (),
        donated: Sequence[int] = (),
        numerics: Numerics = EXACT,
        exports: Exports | None = None,
    ) -> None:
        """`kept` are the numbers of the leaves that the program takes (all, if None), `in_shardings` those of the kept
        ones, of which only those of jax count; an array has its own otherwise. `exports` is where to keep it
        as jax lowers it, and to look for it.

        Raises EmulationError if the mesh or the number of results is not that of the program.
        """
        self.program, self.mesh, self.numerics = program, mesh, numerics
        self.outputs, self.kept, self.donated = tuple(outputs), kept, tuple(donated)
        self._in_shardings, self._exports = tuple(in_shardings), exports
        self._main = program.module.main
        self._devices = list(mesh.devices.flat)
        rows, columns = program.grid
        if rows * columns != len(self._devices):
            raise self._error(f"it is for {rows}x{columns} chips, the mesh has {len(self._devices)}")
        if len(outputs) != len(self._main.results):
            raise self._error(f"it has {len(self._main.results)} results, the function has {len(outputs)}")
        grid = np.array(self._devices, dtype=object).reshape(rows, columns)
        self._grid = Mesh(grid, AXES, axis_types=(AxisType.Auto,) * 2)
        self._specs = [self._spec(output.sharding, output.shape) for output in self.outputs]
        for output, spec, kind in zip(self.outputs, self._specs, self._main.results, strict=True):
            self._check_share(f"result{output.path}", output.shape, output.dtype, spec, kind)
        self._compiled: dict[object, Callable[..., Any]] = {}

    @classmethod
    def of(
        cls,
        card: CardProgram,
        lowered: Lowered,
        mesh: Mesh,
        numerics: Numerics = EXACT,
        exports: Exports | None = None,
    ) -> Emulator:
        """`card`, what TT's compiler made of `lowered`, on the simulated chips of `mesh`. Raises EmulationError.

        `mesh` has the chips of the lowering's mesh in the same order; the axes may have other names.
        """
        program = EmulatedProgram.of(card)
        splits = card.outputs or (None,) * len(lowered.results)
        outputs = [
            Output(result.path, result.shape, result.dtype, sharding)
            for result, sharding in zip(
                lowered.results,
                (
                    _output_sharding(*of, program, mesh)
                    for of in zip(lowered.results, lowered.out_shardings, splits, strict=True)
                ),
                strict=True,
            )
        ]
        return cls(
            program, mesh, outputs, kept=lowered.kept, in_shardings=lowered.in_shardings, donated=lowered.donated,
            numerics=numerics, exports=exports,
        )  # fmt: skip

    def by(self, numerics: Numerics) -> Emulator:
        """The same program, computed with other `numerics`."""
        return Emulator(
            self.program, self.mesh, self.outputs, kept=self.kept, in_shardings=self._in_shardings,
            donated=self.donated, numerics=numerics, exports=self._exports,
        )  # fmt: skip

    def __call__(self, *leaves: Any) -> list[Any]:
        """The results for all leaves of the arguments. Raises EmulationError."""
        arrays = self._placed(leaves)
        *results, differences = self._function(arrays)(*arrays)
        self._compare(np.asarray(differences))
        for number in self.donated:
            if isinstance(leaves[number], jax.Array):
                leaves[number].delete()
        return list(results)

    def compile(self, *leaves: Any) -> Callable[..., Any]:
        """What XLA made of the program for arrays like these leaves; the next call uses it. Op by op, each is compiled
        when it is first executed."""
        return self._function(self._placed(leaves))

    def placed(self, leaves: Sequence[Any]) -> list[Any]:
        """All leaves of the arguments as arrays on the mesh: those that are not there yet where the program takes them,
        what it does not take on all chips."""
        kept = range(len(leaves)) if self.kept is None else self.kept
        wanted = dict(zip(kept, self._in_shardings or (None,) * len(kept), strict=True))
        arrays = []
        for number, leaf in enumerate(leaves):
            sharding = wanted.get(number)
            if isinstance(sharding, jax.sharding.Sharding):
                arrays.append(jax.device_put(leaf, sharding))
            elif isinstance(leaf, jax.Array) and leaf.committed:
                arrays.append(leaf)
            else:
                arrays.append(jax.device_put(leaf, NamedSharding(self.mesh, PartitionSpec())))
        return arrays

    def _placed(self, leaves: Sequence[Any]) -> list[Any]:
        """The arrays that the program takes."""
        kept = range(len(leaves)) if self.kept is None else self.kept
        if len(self._main.arguments) != len(kept):
            raise self._error(f"it takes {len(self._main.arguments)} arguments, the function has {len(kept)}")
        arrays = self.placed(leaves)
        return [arrays[number] for number in kept]

    def _function(self, arrays: Sequence[Any]) -> Callable[..., Any]:
        key = tuple((x.shape, x.dtype, x.sharding) for x in arrays)
        if key not in self._compiled:
            try:
                if self.program.repeats >= MANY:
                    self._compiled[key] = self._op_by_op(arrays)
                else:
                    self._compiled[key] = self._lowered(arrays).compile(self._options)
            except EmulationError as error:
                raise error.of(self.program.name) from None
        return self._compiled[key]

    @property
    def _options(self) -> Mapping[str, Any]:
        """For XLA."""
        return _NOT_OPTIMIZED if self.numerics == EXACT else _OPTIMIZED

    def _op_by_op(self, arrays: Sequence[Any]) -> Callable[..., Any]:
        """What computes the results of `arrays` op by op."""
        machine = OpByOp(self.program, self.numerics, grid=self._grid, options=self._options)
        take = machine.everywhere(
            lambda *shares: tuple(share[None, None] for share in self._given(shares)),
            in_specs=self._in_specs(arrays), out_specs=SHARES,
        )  # fmt: skip
        finish = machine.everywhere(
            lambda *shares: self._finished([share[0, 0] for share in shares]),
            in_specs=SHARES, out_specs=(*self._specs, PartitionSpec()),
        )  # fmt: skip

        def call(*arrays: Any) -> Any:
            try:
                results = machine.main(take(*arrays))
            except EmulationError as error:
                raise error.of(self.program.name) from None
            return jax.device_put(finish(*results), self._out_shardings)

        return call

    def _lowered(self, arrays: Sequence[Any]) -> Any:
        """The program for `arrays` as jax lowers it, by an earlier run if it was kept."""
        if self._exports is None:
            return self._jit(arrays).lower(*arrays)
        given = [(x.shape, x.dtype, x.sharding) for x in arrays]
        key = export_key(self.program.text, self.program.build, self.numerics, self.mesh, self.outputs, given)
        exported = self._exports.get(key)
        if exported is None:
            jitted = self._jit(arrays)
            exported = self._exports.put(key, jitted, arrays)
            if exported is None:
                return jitted.lower(*arrays)
        return jax.jit(exported.call, out_shardings=self._out_shardings).lower(*arrays)

    def observe(self, leaves: Sequence[Any]) -> list[tuple[Op, np.ndarray[Any, Any]]]:
        """The ops of the main function, in their order, with their first result on all chips: ``[rows, columns, …]``.

        Without those of `control`. Raises EmulationError.
        """
        seen: list[Op] = []

        def on_a_chip(*shares: Any) -> list[Any]:
            seen.clear()
            values: list[Any] = []

            def watch(op: Op, results: Sequence[Any]) -> None:
                if op.name not in control.ATTRIBUTES and op.result_types and op.result_types[0] is not None:
                    seen.append(op)
                    values.append(results[0][None, None])

            Machine(self.program, self.numerics, watch).main(self._given(shares))
            return values

        values = self._everywhere(on_a_chip, leaves, PartitionSpec(*AXES))
        return list(zip(seen, map(np.asarray, values), strict=True))

    def errors(self, leaves: Sequence[Any], numerics: Numerics) -> list[tuple[Op, float]]:
        """The ops of the main function, in their order, with the relative L2 of their values with `numerics` to their
        exact ones, on all chips together. Nothing of integers. Raises EmulationError."""
        seen: list[Op] = []

        def on_a_chip(*shares: Any) -> Any:
            seen.clear()
            exact: dict[int, Any] = {}  # by op: the name of a tensor that is written in place stands for several values
            sums: list[Any] = []

            def keep(op: Op, results: Sequence[Any]) -> None:
                exact[id(op)] = results[0] if results else None

            def compare(op: Op, results: Sequence[Any]) -> None:
                if op.name in control.ATTRIBUTES or not op.results:
                    return
                value, right = results[0], exact[id(op)]
                if value is not None and jnp.issubdtype(value.dtype, jnp.floating):
                    seen.append(op)
                    fits = jnp.isfinite(value) & jnp.isfinite(right)
                    apart = jnp.where(fits, value - right, 0)
                    sums.append(jnp.stack([jnp.sum(apart * apart), jnp.sum(jnp.where(fits, right * right, 0))]))

            given = self._given(shares)
            Machine(self.program, EXACT, keep).main(given)
            Machine(self.program, numerics, compare).main(given)
            return jax.lax.psum(jnp.stack(sums), AXES) if sums else jnp.zeros((0, 2))

        sums = np.asarray(self._everywhere(on_a_chip, leaves, PartitionSpec()), np.float64)
        return [
            (op, float(np.sqrt(apart / whole)) if whole else 0.0) for op, (apart, whole) in zip(seen, sums, strict=True)
        ]

    def _everywhere(self, on_a_chip: Callable[..., Any], leaves: Sequence[Any], spec: PartitionSpec) -> Any:
        """What a function gives of each chip's arguments; `spec` says how the chips' results are put together."""
        arrays = self._placed(leaves)
        try:
            return jax.jit(self._mapped(on_a_chip, arrays, spec))(*arrays)
        except EmulationError as error:
            raise error.of(self.program.name) from None

    def _mapped(self, on_a_chip: Callable[..., Any], arrays: Sequence[Any], out_specs: Any) -> Callable[..., Any]:
        """`on_a_chip` of the shares of all chips. Raises EmulationError if the program expects other shares."""
        in_specs = self._in_specs(arrays)
        return jax.shard_map(on_a_chip, mesh=self._grid, in_specs=in_specs, out_specs=out_specs, check_vma=False)

    def _given(self, shares: Sequence[Any]) -> list[Any]:
        """A chip's arguments as the program takes them."""
        kinds = [argument.type for argument in self._main.arguments]
        return [share if kind is None else _taken(share, kind) for share, kind in zip(shares, kinds, strict=True)]

    def _in_specs(self, arrays: Sequence[Any]) -> tuple[PartitionSpec, ...]:
        """How the arguments are split among the chips. Raises EmulationError if the program expects it otherwise."""
        specs = []
        for number, (x, argument) in enumerate(zip(arrays, self._main.arguments, strict=True)):
            spec = self._spec(x.sharding, x.shape)
            self._check_share(f"argument {number} ({argument.name})", x.shape, x.dtype, spec, argument.type)
            specs.append(spec)
        return tuple(specs)

    def _jit(self, arrays: Sequence[Any]) -> Any:
        machine = Machine(self.program, self.numerics)
        mapped = self._mapped(
            lambda *shares: self._finished(machine.main(self._given(shares))),
            arrays, (*self._specs, PartitionSpec()),
        )  # fmt: skip
        return jax.jit(mapped, out_shardings=self._out_shardings)

    def _finished(self, results: Sequence[Any]) -> tuple[Any, ...]:
        """A chip's results in the user's types, and how far chips differ in each."""
        unsplit = [unsplit_axes(spec, AXES) for spec in self._specs]
        differences = [_difference(x, axes) for x, axes in zip(results, unsplit, strict=True)]
        worst = jax.lax.pmax(jnp.stack(differences), AXES) if differences else jnp.zeros(0)
        return (*(_typed(x, output) for x, output in zip(results, self.outputs, strict=True)), worst)

    @property
    def _out_shardings(self) -> tuple[NamedSharding, ...]:
        """Of the results, and of how far chips differ in them."""
        return (*(output.sharding for output in self.outputs), NamedSharding(self.mesh, PartitionSpec()))

    def _compare(self, differences: np.ndarray[Any, Any]) -> None:
        """Raise ChipsDisagreeError if chips hold different values of what is the same on all of them."""
        most = _SAME_EXACTLY if self.numerics == EXACT else _SAME_ROUNDED
        for number, (output, difference) in enumerate(zip(self.outputs, differences, strict=True)):
            if not difference <= most:
                raise ChipsDisagreeError(
                    f"chips hold different values of result{output.path}, which is the same on all of them "
                    f"(by {difference:.1e} of its largest value)",
                    op=self.program.computing_result(number), program=self.program.name,
                    hint="TT's compiler left out communication, or it is along the wrong axis of the mesh",
                )  # fmt: skip

    def _spec(self, sharding: Any, shape: tuple[int, ...]) -> PartitionSpec:
        try:
            return spec_of(sharding, shape, self._devices, self.program.grid, AXES)
        except EmulationError as error:
            raise error.of(self.program.name) from None

    def _check_share(self, what: str, shape: tuple[int, ...], dtype: Any, spec: PartitionSpec, kind: Any) -> None:
        """Whether a chip's share has the shape that the program says."""
        share = NamedSharding(self._grid, spec).shard_shape(shape)
        if kind is not None and laid_out(share, dtype, kind.shape) != kind.shape:
            raise self._error(f"{what} of {shape} is {share} on each chip, the program says {kind.shape}")

    def _error(self, sentence: str) -> EmulationError:
        return EmulationError(sentence, op=None, program=self.program.name)


def _taken(share: Any, kind: Tensor) -> Any:
    """An argument of a chip as its tensor holds it."""
    return (split(share) if share.ndim < len(kind.shape) else share).astype(dtype_of(kind))


def _typed(x: Any, output: Output) -> Any:
    """A result in the user's type."""
    dtype = output.dtype
    if x.ndim > len(output.shape):
        return joined(x, dtype)
    return x != 0 if dtype == np.bool_ else x.astype(dtype)


def _difference(x: Any, axes: tuple[str, ...]) -> Any:
    """By how much chips along `axes` differ in `x`, of its largest magnitude; 1 where only some hold a NaN."""
    if not axes:
        return jnp.float32(0)
    if jnp.issubdtype(x.dtype, jnp.integer):
        return (jax.lax.pmax(x, axes) != jax.lax.pmin(x, axes)).any().astype(jnp.float32)
    special = ~jnp.isfinite(x)
    marks = jnp.where(special, jnp.nan_to_num(x, nan=1, posinf=2, neginf=3), 0)
    x = jnp.where(special, 0, x)
    high, low = jax.lax.pmax(x, axes), jax.lax.pmin(x, axes)
    largest = jnp.maximum(jnp.abs(high), jnp.abs(low)).max(initial=0)
    apart = jnp.where(largest > 0, (high - low).max(initial=0) / largest, 0)
    return jnp.where((jax.lax.pmax(marks, axes) != jax.lax.pmin(marks, axes)).any(), 1, apart).astype(jnp.float32)


def _output_sharding(
    result: Result, sharding: Any, split: Split | None, program: EmulatedProgram, mesh: Mesh
) -> NamedSharding:
    """The user's sharding of a result, or the compiler's where it was left open."""
    if isinstance(sharding, NamedSharding):
        return sharding if sharding.mesh == mesh else NamedSharding(mesh, sharding.spec)
    if split is None:
        if mesh.size > 1:
            raise EmulationError(
                f"how result{result.path} is split among the chips is not known", op=None, program=program.name,
                hint="give out_shardings, or compile it with TT's compiler again",
            )  # fmt: skip
        return NamedSharding(mesh, PartitionSpec())
    spec = PartitionSpec()
    if split.parts:
        sizes = [size // parts for size, parts in zip(result.shape, split.parts, strict=True)]
        shares = {
            chip: tuple((place * size, size) for place, size in zip(places, sizes, strict=True))
            for chip, places in enumerate(split.holds)
        }
        spec = spec_of_shares(shares, result.shape, program.grid, AXES)
    return on_mesh(spec, AXES, mesh)
