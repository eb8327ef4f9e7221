"""Texts as ids of words: the vocabulary of the training texts, and what a word is."""

import random
import re
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from dlrun.data import columns
from dlrun.data.columns import text as module
from dlrun.data.columns.text import Fitter, Text, split_words


def encode(column, values):
    """The ids of rows, ``(rows, length)``."""
    out = np.zeros((len(values), column.width), np.int32)
    column.encode(values, out)
    return out


def words_of(texts, lower=True) -> list[list[str]]:
    """The words of each text, as dlrun splits it."""
    rows = []
    for words, codes, lengths in split_words(pa.array(texts, pa.string()), lower=lower):
        known = words.to_pylist()
        of_all = [known[code] for code in codes]
        ends = np.cumsum(lengths)
        rows += [of_all[end - n : end] for end, n in zip(ends, lengths, strict=True)]
    return rows


def fit(texts, **options) -> Text:
    fitter = Fitter("review", **options)
    fitter.update(pa.array(texts, pa.string()))
    return fitter.result()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good, GOOD -- and bad!", "good good and bad"),
        ("Don\u2019t say \u2018don't\u2019, or 'don't'.", "don't say don't or don't"),
        ("snake_case 3.5 U.S. co-op", "snake_case 3 5 u s co op"),
        ("e\u0301te\u0301 = été", "été été"),  # accents in two ways
        ("हिन्दी में", "हिन्दी में"),  # vowel signs are marks
        ("我爱你ab", "我 爱 你 ab"),  # no spaces between words
        ("“Straße”\u2014naïve…\u00a0😀 ok", "straße naïve ok"),
        ("''' ' ''", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_what_a_word_is(text, words):
    assert words_of([text]) == [unicodedata.normalize("NFC", words).split()]


def test_case_is_kept_if_asked():
    assert words_of(["Good GOOD"], lower=False) == [["Good", "GOOD"]]
    assert fit(["Good GOOD good"], lower=False).words == ("GOOD", "Good", "good")


def test_the_split_is_that_of_a_regular_expression(monkeypatch):
    draw = random.Random(0)
    letters = "abcXYZ019_'' .,;-\n\té🙂—"
    texts = ["".join(draw.choices(letters, k=draw.randrange(60))) for _ in range(500)]
    expected = [
        [w for word in re.split(r"[^\w']+", text.lower()) if (w := word.strip("'"))]
        for text in texts
    ]
    assert words_of(texts) == expected
    monkeypatch.setattr(module, "SLICE_BYTES", 1000)  # rows are split some at a time
    assert words_of(texts) == expected
    sliced = pa.array([*texts, "more"])[100:200]
    lengths = np.concatenate([part[2] for part in split_words(sliced, lower=True)])
    assert lengths.tolist() == [len(words) for words in expected[100:200]]


def test_the_most_frequent_words_have_an_id_and_ties_go_by_alphabet():
    texts = ["b a c", "c b a", "d c z"]
    column = fit(texts, vocabulary_size=5)
    counts = Counter(" ".join(texts).split())
    assert column.words == tuple(sorted(counts, key=lambda w: (-counts[w], w))[:3]) == tuple("cab")
    assert fit(texts[::-1], vocabulary_size=5) == column  # in any order of rows
    assert column.sizes == (5,)
    assert encode(column, pa.array(["a d c", "", None])).tolist() == [
        [3, 1, 2],
        [1, 0, 0],
        [1, 0, 0],
    ]


def test_ids_are_below_the_size_for_whatever_comes_later():
    column = fit(["good film", "bad film"], length=4)
    ids = encode(column, pa.array(["film film new bad " * 99, "\x00", "новый", "a" * 100_000]))
    assert ids.dtype == np.int32
    assert ids.max() < column.sizes[0]
    assert ids.tolist()[0] == [2, 2, 1, 3]  # cut
    assert ids.tolist()[1:] == [[1, 0, 0, 0]] * 3


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([10] * 95 + [50] * 5, 10), ([10] * 94 + [50] * 6, 50), ([999] * 9, 256), ([0] * 3, 1)],
)
def test_the_length_is_what_95_percent_of_the_training_texts_fit_into(lengths, expected):
    assert fit([" ".join(["word"] * n) for n in lengths]).length == expected


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"length": 0}, "length is 0, expected auto, or from 1"),
        ({"length": "long"}, "length is long"),
        ({"vocabulary_size": 2}, "vocabulary_size is 2, expected a number from 3"),
        ({"lower": "yes"}, "lower is yes, expected true or false"),
        ({"words": 3}, "a text has no option 'words': vocabulary_size, length, lower"),
    ],
)
def test_impossible_options_are_refused(options, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        columns.fitter("text", "review", options)


def test_a_fitted_column_is_the_same_after_it_was_saved():
    column = fit(["Good été 我", "bad"], lower=False)
    assert columns.from_entry(columns.to_entry(column)) == column
    for wrong in ({"length": 0}, {"lower": 1}, {"words": ["a", "a"]}, {"words": [1]}):
        with pytest.raises(ValueError, match=r"damaged|texts"):
            Text.from_state("review", {**columns.to_entry(column)["state"], **wrong})


@pytest.mark.parametrize("name", ["numbers", "categories", "a/b", "été", "a b", "-", "x" * 300])
def test_any_name_of_a_column_gives_an_input_that_a_layer_can_have(name):
    taken = {Text(other, 1, True, ()).input for other in ("a_b", "text_a_b", "review")}
    found = Text(name, 1, True, ()).input
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", found)
    assert found not in taken | {"numbers", "categories"}
