"""CLIP beside the contract test (zoo/test_contract.py): nothing is left to write, and known mutants are caught."""

from __future__ import annotations

from pathlib import Path

from zoo.authoring.folder import summary, todos
from zoo.authoring.mutation import missed
from zoo.clip.mutants import MUTANTS
from zoo.clip.registration import MODEL

# TODO tests of what is particular to this model.


def test_nothing_is_left_to_write() -> None:
    left = summary(todos(Path(__file__).parent))
    assert not left, "still to be written; python -m zoo check clip says more:\n" + "\n".join(left)


def test_mutants_are_caught() -> None:
    assert MUTANTS.by_name, "zoo/clip/mutants.py names no mutants: a golden is worth what it catches"
    # For models of the zoo itself `python -m zoo mutants` does it, in a session of its own: leave this out.
    assert not missed(MODEL)
