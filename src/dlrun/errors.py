"""The exceptions of dlrun: an error for the user, and a request to stop; and bounds on messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# The longest value, list and line that a message shows, in characters.
VALUE, LIST, LINE = 200, 400, 1000
LINES = 40
SHORTEST_BEGINNING = 4  # of a name, by which that is suggested
_HEAD, _TAIL = 100, 30  # what is kept of a longer value: names differ at their ends

_WORD = re.compile(rf"\S{{{VALUE + 1},}}")
_QUOTED = re.compile(rf"(?<!\w)(['\"])((?:(?!\1).){{{VALUE + 1},}})\1(?!\w)")
_ITEM = r"[^\s,]+(?: [^\s,]+)?"
_LISTED = re.compile(rf"{_ITEM}(?:, {_ITEM}){{7,}}")

# What Keras and TensorFlow put around the cause of an error.
_HEADING, _USER_CODE = "Exception encountered when calling ", "in user code:"
_AROUND = re.compile(
    rf"(?:\w+: ['\"]?)?{_HEADING}|{_USER_CODE}|Graph execution error:|Detected at node |File \""
    r"|Could not automatically infer the output shape|\[\[\{\{node |\d+ root error"
    r"|Stack trace for op definition|Arguments received by |•"
)
_COLOR = re.compile(r"\x1b\[[\d;]*m")
_CODE = re.compile(r"^ {4}File .*\n.*$", re.MULTILINE)  # a frame and its line
_NODE = re.compile(r"^\{\{.*?\}\} |\s*\[Op:\w+\].*$")


class DlrunError(Exception):
    """An error that the user can fix, reported in one line.

    Args:
        message: What happened, naming the key, file or array, and what was expected. Like the hint
            it is cut by :func:`cut_message`.
        hint: How to fix it.
        exit_code: 2 for bad usage or config, if nothing was started; 1 for a run that failed.
    """

    _keras_call_info_injected = True  # so that Keras does not put the layer's arguments around it

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 2) -> None:
        self.message = cut_message(message)
        super().__init__(self.message)
        self.hint = hint and cut_message(hint)
        self.exit_code = exit_code
        self.mistakes: Sequence[Any] = ()  # each Mistake of dlrun.config.explain, of a wrong config
        if self.hint:
            self.add_note(f"hint: {self.hint}")  # so that Python shows it below the message

    def to_json(self) -> dict[str, Any]:
        """The error in JSON types, as the answer of another process."""
        return {"error": self.message, "hint": self.hint, "exit_code": self.exit_code}

    @staticmethod
    def from_json(answer: Mapping[str, Any], who: str = "") -> DlrunError:
        """The error from :meth:`to_json`; ``who`` is named before it."""
        message = f"{who}: {answer['error']}" if who else answer["error"]
        return DlrunError(message, hint=answer.get("hint"), exit_code=answer.get("exit_code", 1))


# A request and not an error, like KeyboardInterrupt: no "except Exception" may swallow it.
class RunInterrupted(BaseException):
    """The user or the system asked the run to stop.

    Args:
        signum: The signal's number. The exit code is 128 + ``signum``.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def counted(number: int, noun: str) -> str:
    """A number and its noun: ``1 run``, ``3 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def nearest(name: str, names: Iterable[str], *, similarity: float = 0.6) -> str | None:
    """The name most similar to ``name``, else the only one that begins with it, else one with it.

    ``mlp`` is a word of ``mnist_mlp`` and of ``naive_mlp``: of several, it is the shortest.

    Args:
        name: As typed. Capitals make no difference.
        names: The valid ones.
        similarity: The least of :mod:`difflib`, from 0 to 1.
    """
    import difflib  # for a mistake alone

    typed, known = name.lower(), {each.lower(): each for each in names}
    if similar := difflib.get_close_matches(typed, known, n=1, cutoff=similarity):
        return known[similar[0]]
    longer = [each for each in known if each.startswith(typed)]
    if len(longer) == 1 and len(typed) >= SHORTEST_BEGINNING:
        return known[longer[0]]
    with_word = [each for each in known if typed in each.split("_")]
    return known[min(with_word, key=lambda each: (len(each), each))] if with_word else None


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """A hint with the name most similar to ``name``; None if none is similar."""
    near = nearest(name, names)
    return f"did you mean {near}?" if near else None


def describe(error: BaseException) -> str:
    """An error's type and the line of :func:`first_line`."""
    return f"{type(_meant(error)).__name__}: {first_line(error)}"


def _meant(error: BaseException) -> BaseException:
    """The error in place of which another is raised, as jax' own take no text to be made anew.

    Keras makes an error anew, with a text about the layer, at each layer that it passes.
    """
    meant: BaseException | None = error
    while isinstance(meant, AttributeError) and "'_error_repr'" in str(meant):
        meant = meant.__context__
    return meant or error


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something, bounded, else its type's name.

    Keras and TensorFlow put headings, stacks and arguments around the cause, and colors on it.
    """
    error = _meant(error)
    is_quoted = isinstance(error, KeyError) and len(error.args) == 1  # its text is a repr
    text = str(error.args[0] if is_quoted else error)
    if _HEADING in text:
        text = text.replace(r"\n", "\n").replace(r"\x1b", "\x1b")  # quoted once more by a graph
    text = _COLOR.sub("", text)
    if text.startswith(_USER_CODE):
        text = _CODE.sub("", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cause = next((line for line in lines if not _AROUND.match(line)), "")
    cause = _NODE.sub("", cause.removeprefix(f"{type(error).__name__}: "))
    return cut_message(cause or next(iter(lines), type(error).__name__))


def shorten(value: object) -> str:
    """A value as text; the middle of a long one is replaced by its length."""
    text = str(value)
    if len(text) <= VALUE:
        return text
    return f"{text[:_HEAD]}...{text[-_TAIL:]} ({len(text):,} characters)"


def list_names(names: Sequence[str], most: int) -> str:
    """Names in a row, of many the first ones and how many are left: ``a, b and 3 more``."""
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left:,} more" if left > 0 else "")


def cut_message(message: str, lines: int = LINES) -> str:
    """A message with long values and lists cut, each with a count; one that is short is unchanged.

    Args:
        message: It may quote any value, such as a model's config.
        lines: The number of lines to keep.
    """
    whole = message.split("\n")
    left_out = len(whole) - lines
    if left_out <= 1:
        return "\n".join(map(_bounded_line, whole))
    return "\n".join([*map(_bounded_line, whole[:lines]), f"... {left_out:,} more lines"])


def _bounded_line(line: str) -> str:
    if len(line) <= VALUE:
        return line
    line = _QUOTED.sub(lambda match: f"{match[1]}{shorten(match[2])}{match[1]}", line)
    line = _WORD.sub(lambda match: shorten(match[0]), line)
    line = _LISTED.sub(lambda match: _bounded_list(match[0]), line)
    return line if len(line) <= LINE else f"{line[:LINE]}... ({len(line):,} characters)"


def _bounded_list(text: str) -> str:
    if len(text) <= LIST:
        return text
    items = text.split(", ")
    kept = text[: LIST - _TAIL].count(", ")
    closing = items[-1][len(items[-1].rstrip(")]}")) :]
    return f"{', '.join(items[:kept])} and {len(items) - kept:,} more{closing}"
