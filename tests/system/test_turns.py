"""Functions that take turns run one at a time, each until it waits for the others."""

import threading

from dlrun.system.turns import Turns


def test_questions_are_answered_together():
    asked = []

    def answer(questions):
        asked.append(list(questions))
        return [question * 10 for question in questions]

    turns, heard = Turns(answer), {}

    def function(number):
        heard[number] = [turns.ask(number), turns.ask(number + 100)]

    turns.run([lambda number=number: function(number) for number in range(3)])
    assert asked == [[0, 1, 2], [100, 101, 102]]
    assert heard == {number: [number * 10, (number + 100) * 10] for number in range(3)}


def test_one_that_ends_is_not_waited_for():
    asked = []

    def answer(questions):
        asked.append(list(questions))
        return questions

    turns = Turns(answer)

    def function(number):
        for _ in range(number):
            turns.ask(number)

    turns.run([lambda number=number: function(number) for number in range(4)])
    assert asked == [[1, 2, 3], [2, 3], [3]]


def test_never_two_at_once():
    busy = threading.Lock()

    def answer(questions):
        assert busy.acquire(blocking=False)
        busy.release()
        return questions

    turns, seen = Turns(answer), []

    def function():
        for _ in range(50):
            seen.append(busy.acquire(blocking=False))
            busy.release()
            turns.ask(None)

    turns.run([function] * 5)
    assert seen == [True] * 250


def test_a_failed_answer_is_raised_where_it_is_waited_for():
    def answer(questions):
        raise ValueError(f"no answer to {questions}")

    turns, heard = Turns(answer), []

    def function():
        try:
            turns.ask("what")
        except ValueError as error:
            heard.append(str(error))

    turns.run([function, function])
    assert heard == ["no answer to ['what', 'what']"] * 2
