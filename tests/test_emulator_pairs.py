"""What the compiler lays out along a last axis: complex numbers, wide integers, keys of random numbers."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from pytest_tt.emulator.pairs import joined, laid_out, split


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_are_their_words(impl: str) -> None:
    keys = jax.random.split(jax.random.key(3, impl=impl), 3)
    words = jax.random.key_data(keys)
    assert laid_out((3,), keys.dtype, words.shape) == words.shape
    assert laid_out((3,), keys.dtype, (3,)) == (3,)
    np.testing.assert_array_equal(split(keys), words)
    found = joined(words, keys.dtype)
    assert found.dtype == keys.dtype
    np.testing.assert_array_equal(jax.random.key_data(found), words)


def test_complex_numbers_are_two_parts() -> None:
    values: Any = jax.numpy.asarray([1 + 2j, 3 - 4j], np.complex64)
    assert laid_out((2,), values.dtype, (2, 2)) == (2, 2)
    np.testing.assert_array_equal(split(values), [[1, 2], [3, -4]])
    np.testing.assert_array_equal(joined(split(values), values.dtype), values)


def test_other_types_are_one_part() -> None:
    assert laid_out((3,), np.dtype(np.float32), (3, 2)) == (3,)
