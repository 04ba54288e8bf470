"""Goldens in tests: load, compare, and record again under --tt-golden-update."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tt.compare.bounds import Bounds
from pytest_tt.compare.comparison import Comparison, compare
from pytest_tt.compare.tree import BARE, flatten
from pytest_tt.files import write_atomically
from pytest_tt.golden.changes import describe_changes
from pytest_tt.golden.file import (
    SUFFIX,
    Golden,
    GoldenError,
    digest,
    file_digest,
    load,
    save,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    class Reference(Protocol):
        """What a reference returns: trees of arrays, and the provenance as Golden.info has it."""

        @property
        def inputs(self) -> Any: ...
        @property
        def outputs(self) -> Any: ...
        @property
        def info(self) -> Mapping[str, Any]: ...


class GoldenChecker:
    """The value of the fixture tt_golden: `tt_golden(outputs)` compares with the test's golden.

    directory contains the goldens, default_case names the one of this test, backend is the name of the target,
    update says whether goldens are recorded again, and record(kind, facts) takes the facts for the results
    document. recorded contains what this run has recorded so far: tests that only read those need no
    reference of their own. status: bounds of the status file, which override those of the golden and the
    test. Raises pytest.UsageError for an update if the environment variable CI is set.
    """

    def __init__(
        self,
        *,
        directory: Path,
        default_case: str,
        backend: str,
        update: bool,
        record: Callable[[str, Mapping[str, Any]], None],
        recorded: set[Path] | None = None,
        status: Bounds | None = None,
    ) -> None:
        if update and os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no", "off"):
            raise pytest.UsageError(
                "--tt-golden-update is refused because CI is set: a person records goldens and reviews the change"
            )
        self._directory = directory
        self._default_case = default_case
        self._backend = backend
        self._update = update
        self._record = record
        self._recorded = set() if recorded is None else recorded
        self._status = status

    def at(self, directory: Path) -> GoldenChecker:
        """The same for the goldens in `directory`, instead of the one next to the test file."""
        return GoldenChecker(
            directory=directory,
            default_case=self._default_case,
            backend=self._backend,
            update=self._update,
            record=self._record,
            recorded=self._recorded,
            status=self._status,
        )

    def load(self, case: str | None = None, *, reference: Callable[[], Reference] | None = None) -> Golden:
        """The golden of `case`, for its inputs: the test passes them to its model.

        Under --tt-golden-update `reference` is called first and its result recorded; the test fails if that
        changes the file. Fails the test if the golden is missing or broken.
        """
        __tracebackhide__ = True
        golden = self._load(self._default_case if case is None else case, reference)
        if isinstance(golden, str):
            pytest.fail(golden, pytrace=False)
        return golden

    def __call__(
        self,
        outputs: object,
        case: str | None = None,
        *,
        reference: Callable[[], Reference] | None = None,
        weights: object = None,
        masks: object = None,
        pcc: float | None = None,
        rel_l2: float | None = None,
        max_abs: float | None = None,
        top1: float | None = None,
        top5: float | None = None,
        reason: str | None = None,
    ) -> None:
        """Fail the test unless `outputs` (a tree of arrays) agree with the golden of `case`.

        weights: the model's parameters or their digest, which must be those the golden was recorded with.
        masks: by the name of an output, which of its elements count (bools, or integers 0 and 1, over its first axes);
        a bare array is for the only output. It narrows the golden's own mask, if there is one.
        pcc, rel_l2, max_abs, top1 and top5 replace the default bounds; looser ones need a `reason`.
        """
        __tracebackhide__ = True
        case = self._default_case if case is None else case
        golden = self._load(case, reference)
        if isinstance(golden, str):
            pytest.fail(golden, pytrace=False)
        self._record("phase", {"phase": "compare"})
        of_test = {"pcc": pcc, "rel_l2": rel_l2, "max_abs": max_abs, "top1": top1, "top5": top5}
        try:
            if weights is not None:
                _check_weights(golden, weights)
            recorded = golden.info.get("bounds")
            comparison: Comparison | str = compare(
                _named_like(outputs, golden),
                golden.outputs,
                backend=self._backend,
                bounds=Bounds(**of_test, reason=reason),
                recorded=None if recorded is None else Bounds.from_json(recorded, self._backend),
                status=self._status,
                masks=(golden.masks, {} if masks is None else _named_like(masks, golden)),
            )
        except (TypeError, ValueError) as error:
            comparison = f"golden {case!r}: {error}"
        # Failing outside the handler keeps exception chaining out of the text.
        if isinstance(comparison, str):
            pytest.fail(comparison, pytrace=False)
        self._record("compare", {case: {**comparison.metrics(), "leaves": comparison.leaf_facts()}})
        if not comparison.passed:
            pytest.fail(_failure(case, golden, comparison), pytrace=False)

    def _load(self, case: str, reference: Callable[[], Reference] | None) -> Golden | str:
        """The golden of `case`, or why it cannot be loaded; under an update, recorded first."""
        __tracebackhide__ = True
        try:
            changes = self._record_again(case, reference) if self._update else []
            golden = self._read(case)
        except GoldenError as error:
            return str(error)
        if not changes:
            return golden
        return "\n".join(
            [
                f"golden recorded: {_shown(self._path(case))}",
                *(f"  {line}" for line in changes),
                "Look at the change, then run again without --tt-golden-update; this run fails.",
            ]
        )

    def _path(self, case: str) -> Path:
        if not re.fullmatch(r"\w[\w.+=,\[\]-]*", case):
            raise GoldenError(f"golden case {case!r} is not a file name: use letters, digits and _ . + = , - [ ] only")
        return self._directory / f"{case}{SUFFIX}"

    def _read(self, case: str) -> Golden:
        path = self._path(case)
        shown = _shown(path)
        facts: dict[str, Any] = {"case": case, "file": shown.as_posix(), "digest": None}
        self._record("golden", {**facts, "model": None, "variant": None})
        try:
            golden = load(path)
        except GoldenError as error:
            raise GoldenError(f"golden {case!r}: {str(error).replace(str(path), str(shown), 1)}") from error
        info = golden.info
        if info.get("case", case) != case:
            raise GoldenError(
                f"golden {case!r}: {shown} was recorded as case {info['case']!r} and renamed since; "
                f"rename it back, or record it again with --tt-golden-update"
            )
        facts["digest"] = file_digest(path)
        self._record("golden", {**facts, "model": info.get("model"), "variant": info.get("variant")})
        return golden

    def _record_again(self, case: str, reference: Callable[[], Reference] | None) -> list[str]:
        """Record from the reference; returns what changed, or nothing if the bytes are the same."""
        path = self._path(case)
        if reference is None:
            if path in self._recorded:
                return []
            raise GoldenError(
                f"golden {case!r}: --tt-golden-update finds no reference to record from; pass reference=..., "
                "a callable that runs an independent implementation (never the code under test)"
            )
        golden = _as_golden(case, path, _run_reference(case, reference))
        try:
            before: Golden | str | None = load(path) if path.exists() else None
        except GoldenError as error:
            before = str(error)
        first = path.read_bytes() if path in self._recorded else None
        changed = save(path, golden)
        if first is not None and changed:
            write_atomically(path, first)
            raise GoldenError(
                f"golden {case!r}: {_shown(path)} was already recorded in this run with other values, by another "
                "test or parameter; give each its own case: tt_golden(outputs, case)"
            )
        self._recorded.add(path)
        return describe_changes(before, load(path)) if changed else []


def _run_reference(case: str, reference: Callable[[], Reference]) -> Reference:
    try:
        return reference()
    except ImportError as error:
        raise GoldenError(
            f"golden {case!r}: its reference needs {error.name or error}, which cannot be imported here ({error}); "
            f"install the extra that holds the references: pip install 'pytest-tt[reference]'"
        ) from error


def _as_golden(case: str, path: Path, result: Reference) -> Golden:
    """The result of a reference as a golden to save. Raises GoldenError if it cannot be one."""
    for name in ("inputs", "outputs", "info"):
        if not hasattr(result, name):
            raise GoldenError(
                f"golden {case!r}: the reference returned {type(result).__name__}, which has no {name!r}; "
                f"return pytest_tt.golden.Golden(inputs=..., outputs=..., info=...)"
            )
    try:
        inputs, outputs = flatten(result.inputs), flatten(result.outputs)
        masks = flatten(getattr(result, "masks", {}))
    except (TypeError, ValueError) as error:
        raise GoldenError(f"golden {case!r}: from the reference: {error}") from error
    return Golden(path, inputs, outputs, {**result.info, "case": case}, masks)


def _check_weights(golden: Golden, weights: object) -> None:
    recorded = golden.info.get("weights")
    recorded = recorded if isinstance(recorded, dict) else {}
    expected = recorded.get("digest")
    if expected is None:
        raise GoldenError(
            "it records no digest of its weights, so they cannot be checked; put "
            "'digest': pytest_tt.golden.digest(params) into info['weights'] of its reference"
        )
    actual = weights if isinstance(weights, str) else digest(weights)
    if actual != expected:
        source = ", ".join(f"{key} {recorded[key]}" for key in sorted(recorded) if key != "digest")
        raise GoldenError(
            f"these are not the weights it was recorded with: digest {actual}, expected {expected} "
            f"({source}); names, dtypes, shapes and values all count. Load those weights, or record the "
            f"golden again with --tt-golden-update"
        )


def _named_like(outputs: object, golden: Golden) -> dict[str, Any]:
    """Outputs, or their masks, by name; a bare array takes the name of the golden's only output."""
    actual = flatten(outputs)
    if list(actual) == [BARE] and len(golden.outputs) == 1 and not hasattr(outputs, "keys"):
        return dict(zip(golden.outputs, actual.values(), strict=True))
    return actual


def _failure(case: str, golden: Golden, comparison: Comparison) -> str:
    reference = golden.info.get("reference") or {}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(reference.get("versions", {}).items()))
    source = f"{reference.get('implementation', 'unknown')}{f' ({versions})' if versions else ''}"
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    command = f'pytest --tt-golden-update "{test}"' if test else "pytest --tt-golden-update"
    footer = (
        f"golden: {_shown(golden.path) if golden.path else case}, recorded from {source}\n"
        f"if the reference itself has changed, record it again:\n  {command}"
    )
    return comparison.text(title=f"golden {case!r}", footer=footer)


def _shown(path: Path) -> Path:
    """The path relative to the current directory, or its last parts: reports show no home directory."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return Path(*path.parts[-3:])
