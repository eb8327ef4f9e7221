"""Functions that take turns: each runs until it waits for the others, or ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

Answer = Callable[[Sequence[Any]], Sequence[Any]]


class Turns:
    """Runs functions in threads of their own, but never two at once.

    So each may use what belongs to the process, as long as it leaves nothing there while it waits.

    Args:
        answer: Called in the thread of :meth:`run` when all functions that have not ended wait,
            with what each has asked, in their order; returns an answer for each. What it raises is
            raised where they wait.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._own = threading.local()

    def run(self, functions: Sequence[Callable[[], None]]) -> None:
        """Run the functions to their ends; none may raise."""
        turns = [_Turn() for _ in functions]
        for turn, function in zip(turns, functions, strict=True):
            turn.start(self._begin, function)
        while waiting := [turn for turn in turns if turn.waits]:
            try:
                answers = self._answer([turn.asked for turn in waiting])
            except Exception as error:
                answers = [_Raised(error)] * len(waiting)
            for turn, answer in zip(waiting, answers, strict=True):
                turn.go_on(answer)

    def ask(self, question: Any) -> Any:
        """Wait for the other functions; called by one of them. Returns its answer."""
        turn: _Turn = self._own.turn
        answer = turn.wait(question)
        if isinstance(answer, _Raised):
            raise answer.error
        return answer

    def _begin(self, turn: _Turn, function: Callable[[], None]) -> None:
        self._own.turn = turn
        function()


class _Raised:
    def __init__(self, error: Exception) -> None:
        self.error = error


class _Turn:
    """A thread that runs while :meth:`start` or :meth:`go_on` waits for it."""

    def __init__(self) -> None:
        self.waits = False
        self.asked: Any = None
        self._answer: Any = None
        self._begins = threading.Semaphore(0)
        self._ends = threading.Semaphore(0)

    def start(
        self, begin: Callable[[_Turn, Callable[[], None]], None], function: Callable[[], None]
    ) -> None:
        context = copy_context()

        def run() -> None:
            try:
                context.run(begin, self, function)
            finally:
                self.waits = False
                self._ends.release()

        threading.Thread(target=run, daemon=True).start()
        self._ends.acquire()

    def go_on(self, answer: Any) -> None:
        self._answer, self.asked = answer, None
        self._begins.release()
        self._ends.acquire()

    def wait(self, question: Any) -> Any:
        """Called in its thread."""
        self.asked, self.waits = question, True
        self._ends.release()
        self._begins.acquire()
        self.waits = False
        answer, self._answer = self._answer, None
        return answer
