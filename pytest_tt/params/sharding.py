"""Shardings as a test gives them (tree, path rules, logical rules), to one NamedSharding per parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

    AnyMesh: TypeAlias = Mesh | AbstractMesh
    Layout: TypeAlias = PartitionSpec | NamedSharding

# What one dimension is sharded over: one mesh axis, several, or none.
Entry: TypeAlias = str | tuple[str, ...] | None
LogicalRules: TypeAlias = Sequence[tuple[str, Entry]]

_MOST_LINES = 20
_EXPECTED = (
    "expected None, a PartitionSpec, a tree of PartitionSpec, path rules [(regex, PartitionSpec), ...] "
    "or logical axis rules [(name, mesh axis or None), ...]"
)


class ParamsError(ValueError):
    """The parameters cannot be initialised or placed as asked; the text is for the user, one line per parameter."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One array of a variables tree, with the axis names that its module gave it (None: no names).

    `rules`: the logical axis rules for these names if the test passes none. `logical`: the names are those of
    `nn.LogicallyPartitioned`, which flax does not shard if there are rules, but none for the name.
    """

    keys: tuple[str, ...]
    shape: tuple[int, ...]
    names: tuple[Any, ...] | None = None
    logical: bool = False
    rules: LogicalRules = ()

    @property
    def path(self) -> str:
        """The keys joined by slashes, as in messages and path rules."""
        return "/".join(self.keys)


def resolve(leaves: Sequence[Leaf], shardings: object, mesh: AnyMesh, root: str | None = None) -> list[NamedSharding]:
    """One NamedSharding on `mesh` per leaf, in order.

    `shardings`: None (the leaves' own names), a PartitionSpec or a tree of them (a NamedSharding on `mesh`,
    or None for replicated, may be in the tree), path rules or logical axis rules. `root` is the top level
    that a tree may omit ("params"); everything outside it is then replicated.
    Raises ParamsError, one line per parameter, if something does not fit.
    """
    from jax.sharding import NamedSharding, PartitionSpec

    if shardings is None:
        layouts = _by_names(leaves, None, mesh)
    elif is_layout(shardings) or isinstance(shardings, Mapping):
        layouts = _by_tree(leaves, shardings, root)
    elif isinstance(shardings, Sequence) and not isinstance(shardings, str):
        pairs = _pairs(shardings)
        if any(is_layout(value) for _, value in pairs):
            layouts = _by_paths(leaves, pairs, root)
        else:
            layouts = _by_names(leaves, _logical_rules(pairs), mesh)
    else:
        raise ParamsError(f"shardings={shardings!r}: {_EXPECTED}")
    found = [layout if layout is not None else PartitionSpec() for layout in layouts]
    _refuse(text for leaf, layout in zip(leaves, found, strict=True) if (text := misfit(leaf, layout, mesh)))
    return [layout if isinstance(layout, NamedSharding) else NamedSharding(mesh, layout) for layout in found]


def is_layout(value: object) -> bool:
    """Whether `value` is the layout of one array: a PartitionSpec or a NamedSharding."""
    from jax.sharding import NamedSharding, PartitionSpec

    return isinstance(value, (PartitionSpec, NamedSharding))


def key_name(key: object) -> str:
    """The plain name of one step of a jax key path: dict key, attribute or index."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def misfit(leaf: Leaf, layout: Layout, mesh: AnyMesh) -> str | None:
    """Why `leaf` cannot have this layout on `mesh`, in one line; None if it can."""
    from jax.sharding import NamedSharding

    here, sizes = _mesh_text(mesh), dict(mesh.shape)
    if isinstance(layout, NamedSharding):
        if layout.mesh != mesh:
            return (
                f"{leaf.path}: its NamedSharding is on another mesh than this test's {here}: "
                f"give {_spec_text(layout.spec)} alone, or make it with the fixture tt_mesh"
            )
        layout = layout.spec
    text, split = _spec_text(layout), [_axes(entry) for entry in layout]
    for entry, axes in zip(layout, split, strict=True):
        if axes is None:
            return f"{leaf.path}: {entry!r} in {text} is not a mesh axis, a tuple of mesh axes or None"
    used = [axis for axes in split for axis in axes or ()]
    for axis in used:
        if axis not in sizes:
            return f"{leaf.path}: {text} names the axis {axis!r}, which {here} does not have"
        if used.count(axis) > 1:
            return f"{leaf.path}: {text} uses the axis {axis!r} more than once"
    if len(split) > len(leaf.shape):
        return f"{leaf.path}: {text} is for {len(split)} dimensions, but the shape is {leaf.shape}"
    for dimension, axes in enumerate(split):
        parts = prod(sizes[axis] for axis in axes or ())
        if leaf.shape[dimension] % parts:
            return (
                f"{leaf.path}: {text} splits dimension {dimension} of the shape {leaf.shape} into {parts} "
                f"on {here}, but {leaf.shape[dimension]} is not divisible by {parts}"
            )
    return None


def entries_of(leaf: Leaf, rules: LogicalRules, axes: Iterable[str]) -> tuple[list[Entry], list[str]]:
    """The spec entries for the names of `leaf` on a mesh with `axes`, and the names that have none.

    Rules work as in flax (`nn.logical_to_mesh_axes`): in order, each name takes the first target whose axes are
    not in use in this array, and is not sharded if there is none. A name without a rule is the mesh axis of that
    name, if there is one; a logical name is not sharded if there are any rules.
    """
    names = leaf.names or ()
    entries: dict[int, Any] = {at: name for at, name in enumerate(names) if not isinstance(name, str)}
    for name, target in rules:
        in_use = {axis for entry in entries.values() for axis in _axes(entry) or ()}
        if in_use.isdisjoint(_axes(target) or ()):
            at = next((at for at, other in enumerate(names) if other == name and at not in entries), None)
            if at is not None:
                entries[at] = target
    ruled, unknown = {name for name, _ in rules}, []
    for at, name in enumerate(names):
        if at in entries:
            continue
        entries[at] = None
        if name in ruled or (leaf.logical and rules):
            continue
        if name in axes:
            entries[at] = name
        else:
            unknown.append(name)
    return [entries[at] for at in range(len(names))], unknown


def _by_names(leaves: Sequence[Leaf], rules: LogicalRules | None, mesh: AnyMesh) -> list[Layout | None]:
    """Layouts from the modules' own axis names, by `rules` or, if None, by each leaf's own."""
    from jax.sharding import PartitionSpec

    present = {name for leaf in leaves for name in leaf.names or () if isinstance(name, str)}
    if rules is not None and present.isdisjoint(name for name, _ in rules):
        raise ParamsError(
            f"shardings={list(rules)!r}: the module's parameters have none of these logical axis names, but "
            f"{', '.join(sorted(map(repr, present))) or 'no names at all'} (path rules need a PartitionSpec)"
        )
    layouts: list[Layout | None] = []
    lost: dict[str, Leaf] = {}
    for leaf in leaves:
        entries, unknown = entries_of(leaf, leaf.rules if rules is None else rules, mesh.axis_names)
        layouts.append(None if leaf.names is None else PartitionSpec(*entries))
        for name in unknown:
            lost.setdefault(name, leaf)
    if lost:
        first = next(iter(lost.values()))
        example = ", ".join(f"({name!r}, ...)" for name in lost)
        raise ParamsError(
            f"{first.path} has the axis names {first.names!r}; {', '.join(map(repr, lost))}: neither an axis "
            f"of {_mesh_text(mesh)} nor in a rule: pass shardings=[{example}] "
            "with a mesh axis or None (not split) for each ..., or enter flax's nn.logical_axis_rules"
        )
    return layouts


def _by_tree(leaves: Sequence[Leaf], tree: object, root: str | None) -> list[Layout | None]:
    """Layouts from a tree of them; a layout above the arrays applies to all below it."""
    import jax

    def stop(value: object) -> bool:
        return value is None or is_layout(value)

    given: dict[tuple[str, ...], Any] = {
        tuple(key_name(key) for key in keys): layout
        for keys, layout in jax.tree_util.tree_flatten_with_path(tree, is_leaf=stop)[0]
    }
    _refuse(
        f"shardings at {'/'.join(keys)}: {layout!r} is not a PartitionSpec (nor a NamedSharding or None)"
        for keys, layout in given.items()
        if not stop(layout)
    )
    tops = {leaf.keys[0] for leaf in leaves if leaf.keys}
    lifted = root in tops and isinstance(tree, Mapping) and tops.isdisjoint(map(str, tree))
    if lifted:
        given = {(str(root), *keys): layout for keys, layout in given.items()}
    layouts, missing, used = [], [], set()
    for leaf in leaves:
        at = next((leaf.keys[:n] for n in range(len(leaf.keys) + 1) if leaf.keys[:n] in given), None)
        layouts.append(None if at is None else given[at])
        if at is not None:
            used.add(at)
        elif not lifted or leaf.keys[0] == root:
            missing.append(leaf.path)
    unknown = ["/".join(keys) for keys in given if keys not in used]
    if missing or unknown:
        parts = [f"nothing for {', '.join(missing)}"] if missing else []
        parts += [f"no parameter is at or below {', '.join(unknown)}"] if unknown else []
        raise ParamsError(f"the shardings tree does not match the module: {'; '.join(parts)}")
    return layouts


def _by_paths(leaves: Sequence[Leaf], pairs: Sequence[tuple[Any, Any]], root: str | None) -> list[Layout | None]:
    """Layouts from (regex, layout) rules; the first whose regex is found in the path wins, else replicated.

    A regex is tried on the whole path and, below `root`, on the path without `root`, so that ^ works for both.
    """
    rules: list[tuple[re.Pattern[str], Any]] = []
    for pattern, layout in pairs:
        if layout is not None and not is_layout(layout):
            raise ParamsError(f"shardings: the path rule ({pattern!r}, {layout!r}) needs a PartitionSpec or None")
        try:
            rules.append((re.compile(pattern), layout))
        except re.error as error:
            raise ParamsError(f"shardings: {pattern!r} is not a regular expression: {error}") from None
    layouts: list[Layout | None] = []
    idle = set(range(len(rules)))
    for leaf in leaves:
        paths = (leaf.path, "/".join(leaf.keys[1:])) if leaf.keys[:1] == (root,) else (leaf.path,)
        hits = [at for at, (regex, _) in enumerate(rules) if any(regex.search(path) for path in paths)]
        idle.difference_update(hits)
        layouts.append(rules[hits[0]][1] if hits else None)
    if idle:
        lost = ", ".join(repr(rules[at][0].pattern) for at in sorted(idle))
        raise ParamsError(f"shardings: no parameter matches {lost}; they are {', '.join(leaf.path for leaf in leaves)}")
    return layouts


def _pairs(rules: Sequence[object]) -> list[tuple[Any, Any]]:
    """The rules as pairs that start with a name or a regex. Raises ParamsError for any other."""
    for rule in rules:
        if not isinstance(rule, (tuple, list)) or len(rule) != 2 or not isinstance(rule[0], (str, re.Pattern)):
            raise ParamsError(f"shardings: {rule!r} is not a rule: {_EXPECTED}")
    if not rules:
        raise ParamsError(f"shardings={rules!r} has no rules: {_EXPECTED}")
    return [(rule[0], rule[1]) for rule in rules if isinstance(rule, (tuple, list))]


def _logical_rules(pairs: Sequence[tuple[Any, Any]]) -> list[tuple[str, Entry]]:
    """The pairs as logical axis rules. Raises ParamsError for any other."""
    for name, target in pairs:
        if not isinstance(name, str) or _axes(target) is None:
            raise ParamsError(f"shardings: ({name!r}, {target!r}) is not a rule: {_EXPECTED}")
    return list(pairs)


def _axes(entry: object) -> tuple[str, ...] | None:
    """The mesh axes in one entry of a spec; None if it is not an entry."""
    if entry is None or isinstance(entry, str):
        return () if entry is None else (entry,)
    if isinstance(entry, (tuple, list)) and all(isinstance(axis, str) for axis in entry):
        return tuple(entry)
    return None


def _mesh_text(mesh: AnyMesh) -> str:
    """`mesh 2x4 (batch=2, model=4)`."""
    sizes = dict(mesh.shape)
    return f"mesh {'x'.join(map(str, sizes.values()))} ({', '.join(f'{axis}={n}' for axis, n in sizes.items())})"


def _spec_text(spec: Iterable[object]) -> str:
    """`PartitionSpec(None, 'model')`, the same on every jax version."""
    return f"PartitionSpec({', '.join(map(repr, spec))})"


def _refuse(problems: Iterable[str]) -> None:
    """Raise ParamsError with the problems, one line each, if there are any."""
    lines = list(problems)
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"... and {len(lines) - _MOST_LINES} more"]
    if lines:
        raise ParamsError("\n".join(lines))
