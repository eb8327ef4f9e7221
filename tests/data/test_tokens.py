"""Generated sequences of token ids."""

import numpy as np
import pytest

from dlrun.data.tokens import tokens
from dlrun.errors import DlrunError


def test_ids_are_padded_at_the_end_and_below_the_vocabulary_size() -> None:
    data = tokens(length=20, vocabulary_size=30)
    ids = data.train.inputs
    assert (ids.shape, ids.dtype) == ((2000, 20), np.int32)
    assert (len(data.validation), len(data.test)) == (400, 400)
    assert (ids.min(), ids.max()) == (0, 29)
    lengths = (ids > 0).sum(axis=1)
    np.testing.assert_array_equal(ids > 0, np.arange(20) < lengths[:, None])
    assert (lengths.min(), lengths.max()) == (5, 20)


def test_the_label_says_which_token_is_more_frequent() -> None:
    data = tokens(seed=3)
    for split in (data.train, data.validation, data.test):
        counts = [[np.count_nonzero(row == token) for token in (1, 2)] for row in split.inputs]
        assert [int(one > two) for one, two in counts] == split.labels.tolist()
    assert 0.3 < data.train.labels.mean() < 0.7


def test_the_sequences_are_a_function_of_the_seed() -> None:
    first, same, other = tokens(seed=1), tokens(seed=1), tokens(seed=2)
    np.testing.assert_array_equal(first.train.inputs, same.train.inputs)
    assert (first.train.inputs != other.train.inputs).any()


@pytest.mark.parametrize(
    "arguments", [{"length": 0}, {"vocabulary_size": 3}, {"train_samples": 0}, {"test_samples": 0}]
)
def test_sizes_that_make_no_sequences_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(DlrunError) as caught:
        tokens(**arguments).split("test")
    assert next(iter(arguments)) in f"{caught.value.message} {caught.value.hint}"
