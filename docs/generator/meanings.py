"""What the reference says in words of fields that the code names and types; the generator refuses to lack one."""

from __future__ import annotations

GOLDEN = {
    "schema": "Of this format",
    "case": "The file's name without its suffix; a renamed file is refused",
    "model": "What it is a golden of, or null",
    "variant": "Which variant, or null",
    "weights": "Where the weights came from: `kind`, then `seed`, or `repo`, `revision` and `file`, and their `digest`",
    "reference": "The independent implementation that gave the outputs, and the versions of what it ran on",
    "dtype": "Of the outputs; `mixed` where they differ",
}

STATUS = {
    "model": "Models, globs allowed; an entry must give `model` or `tests`",
    "variant": "Variants of the model",
    "tests": "Node ids, or a folder, file, class or function above them; globs allowed",
    "mesh": "Only on these meshes",
    "system": "Only on these boxes",
    "backend": "Only on `sim` or on `hw`",
    "outcome": "`xfail` or `skip`; an entry gives this or bounds",
    "bounds": "Metric to bound, in place of what the test or its golden say",
    "reason": "Why, in words; must be there",
    "issue": "Where it is reported",
    "since": "The day on which the entry was written",
}
