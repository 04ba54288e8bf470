"""Descriptions of fields for the reference, whose names and types are in the code. Each field must have one."""

from __future__ import annotations

RUN = {
    "versions": "Of pytest-tt, pytest, jax, jaxlib, flax, numpy, pjrt-plugin-tt and Python; null where not installed",
    "backend": "What executed: `sim` or `hw`",
    "backend_source": "Why that backend, as in the header of the run",
    "system": "The box: found on `hw`, asked for on `sim`",
    "chips": "How many chips the box has; null where nothing limits them",
    "commit": "Of the git checkout that the tests are in",
    "start": "ISO 8601, in UTC",
    "duration_s": "Of the whole run, in seconds",
}

ROW = {
    "nodeid": "The test, as pytest names it",
    "model": "What it is a test of: from its golden, else the marker, else the hook `pytest_tt_model`",
    "variant": "Which variant of the model",
    "mesh": "The mesh of this test",
    "backend": "As for the run",
    "system": "The box of this test; on `sim` the marker may name one",
    "outcome": "pytest's; `rerun` is pytest-rerunfailures' for a test that died before its last attempt ended",
    "phase": "How far the test came",
    "metrics": "For each golden case the worst leaf's numbers, and below `leaves` those of each leaf",
    "timing": "Seconds: tracing and compiling in all, the median of an execution, and the test with its fixtures",
    "bytes_per_chip": "Arguments, outputs and temporaries of the largest program on one chip",
    "collectives": "Kind to count, of all programs",
    "golden": "The golden's file and the sha256 of its bytes",
    "reason": "Why it failed, was skipped or is expected to fail, in one line",
    "shardings": "For each set of mesh axes the arrays that the programs take, one line of text for each kind",
    "work": "What one execution processes, from `tt_jit.work(tokens=128)`",
    "run": "In a merged document: which of `runs` the row is from",
}

CASE = {
    "pcc": "Pearson correlation of the worst leaf, in float64",
    "rel_l2": "Norm of the difference over the norm of what was expected",
    "max_abs": "Largest absolute difference",
    "top1": "Share of rows whose largest entry is the expected one; null where not asked for",
    "top5": "The same, among the five largest expected",
    "leaf": "The leaf that was worst",
    "verdict": "Whether every leaf kept its bounds",
    "golden": "The sha256 of the golden's bytes",
    "leaves": "For each leaf: shape, dtype, passed, values, bounds, how many errors there are of each power of ten, "
    "and, with a mask, `counted`: how many elements count",
}

GOLDEN = {
    "schema": "Version of this format",
    "case": "File name without its suffix; a renamed file is refused",
    "model": "Model of the golden, or null",
    "variant": "Variant, or null",
    "weights": "Source of the weights: `kind`, then `seed`, or `repo`, `revision` and `file`, and their `digest`",
    "reference": "The independent implementation that computed the outputs, and the versions of its packages",
    "dtype": "dtype of the outputs; `mixed` if they differ",
}

STATUS = {
    "model": "Models, globs allowed; an entry must give `model` or `tests`",
    "variant": "Variants of the model",
    "tests": "Node ids, or a folder, file, class or function above them; globs allowed",
    "mesh": "Only on these meshes",
    "system": "Only on these systems",
    "backend": "Only on `sim` or on `hw`",
    "outcome": "`xfail` or `skip`; an entry gives this or bounds",
    "bounds": "Metric to bound, overriding the bounds of the test or its golden",
    "reason": "Why; required",
    "issue": "Link or name of the issue",
    "since": "Date on which the entry was written",
}
