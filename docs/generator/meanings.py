"""Descriptions of fields for the reference, whose names and types are in the code. Each field must have one."""

from __future__ import annotations

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
    "system": "Only on these systems; with `--tt-compile`, errors of TT's compiler for them are expected too",
    "backend": "Only on `sim`, on `emu` or on `hw`",
    "outcome": "`xfail` or `skip`; an entry gives this or bounds",
    "bounds": "Metric to bound, overriding the bounds of the test or its golden",
    "reason": "Why; required",
    "issue": "Link or name of the issue",
    "since": "Date on which the entry was written",
}
