"""The first non-finite value of an array."""

import ml_dtypes
import numpy as np
import pytest

from dlrun.system.finite import CHUNK, extremes, first_not_finite, first_outside


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (2, 17), (CHUNK // 50, 3), (CHUNK // 40 - 1, 99)])
def test_a_non_finite_value_is_found_anywhere(value, place):
    array = np.ones((CHUNK // 40, 100), np.float32)
    assert first_not_finite(array) is None
    array[place] = value
    assert first_not_finite(array) == place
    later = place[0] + 1
    array[later:] = np.nan
    assert first_not_finite(array) == place


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_every_float_dtype_is_checked(dtype):
    array = np.asarray([1, np.nan, 2], dtype)
    assert first_not_finite(array) == (1,)
    assert first_not_finite(array[::2]) is None
    assert first_not_finite(np.asarray(np.inf, dtype)) == ()


def test_values_must_be_finite_in_the_given_dtype():
    array = np.asarray([1.0, 1e300])
    assert first_not_finite(array) is None
    assert first_not_finite(array, np.float32) == (1,)


def test_extremes_of_the_whole_array():
    array = np.arange(3 * CHUNK, dtype=np.float64).reshape(3, -1)[::-1]
    assert extremes(array) == (0, 3 * CHUNK - 1)
    assert extremes(np.zeros((0, 3))) == (0, 0)
    assert np.isnan(extremes(np.asarray([1, np.nan]))).all()


def test_a_value_outside_a_range_is_found_at_its_place():
    array = np.zeros((CHUNK // 40, 10, 10), np.float32)
    assert first_outside(array, 0, 1) is None
    array[1, 0, 2] = array[CHUNK // 50, 3, 4] = 2
    assert first_outside(array, 0, 1) == (1, 0, 2)
    assert first_outside(array, 0, 1, np.asarray([5, 34])) == (CHUNK // 50, 3, 4)
    assert first_outside(array, 0, np.inf) is None
    assert first_outside(np.zeros((0, 3)), 1, 2) is None


def test_a_limit_is_not_rounded_to_the_dtype_of_an_array():
    array = np.asarray([2**24, 2**24 + 2], np.float32)
    assert first_outside(array, 0, 2**24 + 1) == (1,)
    assert first_outside(np.asarray([0, np.nan, 9]), 0, 1) == (1,)
