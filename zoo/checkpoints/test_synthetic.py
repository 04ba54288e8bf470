"""Made-up numbers do not depend on how they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.checkpoints import synthetic

if TYPE_CHECKING:
    import pytest


def test_large_tensors_are_drawn_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = synthetic.uniform("x", (5, 9), low=-3.0, high=2.0, seed=4)
    unit = (synthetic.words("x", 45, seed=4) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    np.testing.assert_array_equal(whole, (-3.0 + 5.0 * unit).astype(np.float32).reshape(5, 9))
    for size in (1, 7, 44, 45):
        monkeypatch.setattr(synthetic, "_CHUNK", size)
        np.testing.assert_array_equal(synthetic.uniform("x", (5, 9), low=-3.0, high=2.0, seed=4), whole)
    assert synthetic.uniform("x", (0, 3)).shape == (0, 3)


def test_two_numbers_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 24 bits each, the lower half of a word first; the last word may give one."""
    whole = synthetic.coarse_uniform("x", (5, 9), low=-3.0, high=2.0, seed=4)
    drawn = synthetic.words("x", 23, seed=4)
    halves = np.stack([drawn & np.uint64(0xFFFFFFFF), drawn >> np.uint64(32)], axis=-1).ravel()[:45]
    units = (halves >> np.uint64(8)).astype(np.float64) * 2.0**-24
    np.testing.assert_allclose(whole.ravel(), -3.0 + 5.0 * units, atol=5e-7)
    assert whole.dtype == np.float32
    for size in (1, 7, 22, 23):
        monkeypatch.setattr(synthetic, "_CHUNK", size)
        np.testing.assert_array_equal(synthetic.coarse_uniform("x", (5, 9), low=-3.0, high=2.0, seed=4), whole)


def test_kept_tensors_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds, told apart by all that they are drawn from; only as many bytes as are allowed, of large ones."""

    def drawn() -> list[np.ndarray]:
        kinds = (synthetic.uniform, synthetic.coarse_uniform)
        return [draw("x", (5, 9), low=low) for draw in kinds for low in (-1.0, 0.0)]

    anew = drawn()
    monkeypatch.setattr(synthetic, "MOST_KEPT", 3 * anew[0].nbytes)
    monkeypatch.setattr(synthetic, "LEAST_KEPT", anew[0].nbytes)
    with synthetic.kept():
        before, found = drawn(), drawn()
        small = synthetic.uniform("x", (5, 8))
        assert small is not synthetic.uniform("x", (5, 8))
        assert small.flags.writeable
    assert [array is old for array, old in zip(found, before, strict=True)] == [True, True, True, False]
    assert [array.flags.writeable for array in found] == [False, False, False, True]
    for array, expected in zip(found, anew, strict=True):
        np.testing.assert_array_equal(array, expected)
    first, second = drawn()[0], drawn()[0]
    assert first is not second
    assert first.flags.writeable


def test_streams_differ_by_name_and_seed() -> None:
    drawn = [synthetic.uniform(name, (8,), seed=seed).tobytes() for name in ("a", "b") for seed in (0, 1)]
    assert len(set(drawn)) == 4
