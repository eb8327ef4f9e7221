"""A function that is called in several threads."""

import time

import pytest

from dlrun.system.threads import map_in_order


def test_the_results_are_in_the_order_of_the_items():
    def slow_at_first(number):
        time.sleep(0.02 if number == 0 else 0)
        return number

    assert list(map_in_order(slow_at_first, range(20), threads=3, ahead=6)) == list(range(20))
    assert list(map_in_order(slow_at_first, [], threads=3, ahead=6)) == []


def test_few_items_are_taken_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = map_in_order(str, items(), threads=2, ahead=3)
    assert next(results) == "0"
    assert taken == [0, 1, 2]
    assert next(results) == "1"
    assert taken == [0, 1, 2, 3]
    results.close()
    assert taken == [0, 1, 2, 3]


def test_what_the_items_raise_comes_after_the_results_before():
    def items():
        yield 1
        yield 2
        raise KeyError("no third")

    results = map_in_order(str, items(), threads=2, ahead=8)
    assert [next(results), next(results)] == ["1", "2"]
    with pytest.raises(KeyError, match="no third"):
        next(results)


def test_the_first_error_ends_the_results():
    results = map_in_order(lambda number: 1 / number, [1, 2, 0, 4], threads=2, ahead=8)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []
