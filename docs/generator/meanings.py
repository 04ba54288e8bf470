"""Descriptions of fields for the reference, whose names and types are in the code. Each field must have one."""

from __future__ import annotations

RUN = {
    "versions": "Of pytest-tt, pytest, jax, jaxlib, flax, numpy, pjrt-plugin-tt and Python; null if not installed",
    "backend": "What the tests ran on: `sim` or `hw`",
    "backend_source": "Why this backend, as in the header of the run",
    "system": "The system: detected on `hw`, requested on `sim`",
    "chips": "Number of chips of the system; null if not limited",
    "commit": "Commit of the git checkout that the tests are in",
    "start": "Start of the run: ISO 8601, in UTC",
    "duration_s": "Duration of the whole run, in seconds",
}

ROW = {
    "nodeid": "pytest's node id of the test",
    "model": "The model that it tests: from its golden, else the marker, else the hook `pytest_tt_model`",
    "variant": "Variant of the model",
    "mesh": "The mesh of this test",
    "backend": "As for the run",
    "system": "The system of this test; on `sim` the marker may name one",
    "outcome": "pytest's; `rerun` is pytest-rerunfailures' for a test that crashed before its last attempt ended",
    "phase": "The last phase that the test reached",
    "metrics": "For each golden case the metrics of the worst leaf, and below `leaves` those of each leaf",
    "timing": "Seconds: total tracing and compiling, the median of an execution, and the test with its fixtures",
    "bytes_per_chip": "Arguments, outputs and temporaries of the largest program on one chip",
    "collectives": "Kind to count, over all programs",
    "golden": "The golden's file and the sha256 of its bytes",
    "reason": "Why it failed, was skipped or is expected to fail, in one line",
    "shardings": "For each set of mesh axes the arrays that the programs take, one line of text per kind",
    "work": "Amount of work of one execution, from `tt_jit.work(tokens=128)`",
    "run": "In a merged document: the index of the row's run in `runs`",
}

CASE = {
    "pcc": "Pearson correlation of the worst leaf, in float64",
    "rel_l2": "Norm of the difference divided by the norm of the expected values",
    "max_abs": "Largest absolute difference",
    "top1": "Share of rows whose largest entry is the expected one; null if not requested",
    "top5": "The same, among the five largest expected",
    "leaf": "Name of the worst leaf",
    "verdict": "Whether every leaf is within its bounds",
    "golden": "The sha256 of the golden's bytes",
    "leaves": "For each leaf: shape, dtype, passed, values, bounds, the number of errors of each power of ten, "
    "and, with a mask, `counted`: the number of elements that count",
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
