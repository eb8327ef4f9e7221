"""Complete a command line; the scripts of :mod:`dlrun.completion.scripts` call it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from dlrun.completion.signatures import Parameter, command_names, parameters
from dlrun.completion.words import after_last_break, split_line

SHELL, LINE, BREAKS = "_DLRUN_COMPLETE", "_DLRUN_LINE", "_DLRUN_BREAKS"
FILES, NO_SPACE = "files", "nospace"
MOST_RUNS = 200
Found = Iterator[tuple[str, str]]


def main() -> None:
    """Print how to complete: a line of flags, then a line for each word, with its meaning."""
    shell = os.environ[SHELL]
    words = split_line(os.environ[LINE])[1:] if LINE in os.environ else sys.argv[1:]
    found, flags = complete(words)
    if any(word.endswith(("=", ".", "/")) for word, _ in found):
        flags.add(NO_SPACE)
    cut = 0
    if shell == "bash":
        cut = after_last_break(words[-1] if words else "", os.environ.get(BREAKS, ""))
    lines = [" ".join(sorted(flags)) or "-"]
    for word, meaning in found:
        lines.append(word[cut:] if shell == "bash" else f"{word}\t{meaning}")
    with suppress(BrokenPipeError):
        print("\n".join(lines))


def complete(words: Sequence[str]) -> tuple[list[tuple[str, str]], set[str]]:
    """What the last word may become.

    Args:
        words: After ``dlrun``; the last one is unfinished, and may be empty.

    Returns:
        The words that begin with it, each with its meaning; and flags: ``files`` if it may be a
        file that the shell knows better.
    """
    *before, last = words or [""]
    if not before:
        options = {"--help": "Show the commands.", "--version": "Print the version."}
        found = options if last.startswith("-") else command_names()
        return _begin(last, iter(found.items())), set()
    command, *typed = before
    if command == "train" and {"-m", "--multirun"} & set(typed):
        command = "sweep"
    known = parameters(command)
    by_flag = {flag: parameter for parameter in known for flag in parameter.flags}
    if typed and (option := by_flag.get(typed[-1])) and not option.is_flag:
        return _value(option, last, typed)
    if last.startswith("-") and "--" not in typed:
        flag, equals, value = last.partition("=")
        if equals and (option := by_flag.get(flag)):
            found_values, flags = _value(option, value, typed)
            return [(f"{flag}={word}", meaning) for word, meaning in found_values], flags
        told = [(flag, p.help) for flag, p in by_flag.items() if flag.startswith("--")]
        return _begin(last, iter([*told, ("--help", "Show this command.")])), set()
    arguments = [parameter for parameter in known if not parameter.flags]
    place = len(list(_positional(typed, by_flag)))
    if not arguments or (place >= len(arguments) and not arguments[-1].several):
        return [], set()
    return _value(arguments[min(place, len(arguments) - 1)], last, typed)


def _value(
    parameter: Parameter, last: str, typed: Sequence[str]
) -> tuple[list[tuple[str, str]], set[str]]:
    """The values of a parameter."""
    found = list(_choices(parameter, last, typed))
    return _begin(last, iter(found)), {FILES} if parameter.is_path or parameter.is_run else set()


def _choices(parameter: Parameter, last: str, typed: Sequence[str]) -> Found:
    name = parameter.name
    if parameter.choices:
        yield from ((choice, "") for choice in parameter.choices)
    elif parameter.is_run:
        yield from _runs(_option(typed, "--runs-dir") or "runs", last)
    elif name == "names":
        begun = last[: last.rfind(",") + 1]
        yield from ((begun + backend, "") for backend in _backends())
    elif name in ("overrides", "group", "experiments", "select"):
        yield from _of_config(name, last, typed)


def _of_config(name: str, last: str, typed: Sequence[str]) -> Found:
    from dlrun.completion.overrides import Options, complete_override
    from dlrun.config.groups import GROUPS

    options = Options(_option(typed, "--config-dir"))
    if name == "experiments":
        yield from options.names("experiment").items()
    elif name == "overrides" and last.startswith("init_from="):
        begun = last.partition("=")[2]
        yield from ((f"init_from={run}", began) for run, began in _runs("runs", begun))
    elif name == "overrides" or "=" in last:
        yield from complete_override(last, typed, options)
    else:
        yield from ((group.name, group.meaning) for group in GROUPS.values())


def _begin(last: str, found: Found) -> list[tuple[str, str]]:
    """Those that begin with the unfinished word, each once."""
    return [(word, _line(told)) for word, told in dict(found).items() if word.startswith(last)]


def _line(meaning: str) -> str:
    return " ".join(meaning.split())[:80]


def _positional(typed: Sequence[str], by_flag: dict[str, Parameter]) -> Iterator[str]:
    """The words that are neither options nor their values."""
    words = iter(typed)
    for word in words:
        if word == "--":
            yield from words
        elif word.startswith("-") and word != "-":
            option = by_flag.get(word)
            if option and not option.is_flag:
                next(words, None)
        else:
            yield word


def _option(typed: Sequence[str], flag: str) -> str | None:
    """The value of an option that was typed."""
    for place, word in enumerate(typed):
        if word == flag and place + 1 < len(typed):
            return typed[place + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _runs(folder: str, begun: str) -> Found:
    """``latest``, and the newest runs by their short names, with when they began.

    Names begin with the folder, as ``dlrun runs`` shows them. Where what is typed begins none of
    them, those without a folder are offered.
    """
    from dlrun.errors import DlrunError
    from dlrun.runs.locate import iter_runs
    from dlrun.runs.names import is_renamed, short_names

    try:
        paths = sorted(iter_runs(Path(folder)), key=lambda path: path.name, reverse=True)
    except DlrunError:
        return
    if paths:
        yield "latest", "the newest run"
    newest = list(islice(paths, MOST_RUNS))
    names = short_names(newest, parts=2)
    if not any(name.startswith(begun) for name in names):
        names = short_names(newest)
    for name, path in zip(names, newest, strict=True):
        yield name, "" if is_renamed(path) else path.name[:19].replace("_", " ")


def _backends() -> list[str]:
    files = (Path(__file__).parents[1] / "backends").glob("[a-z]*.py")
    return sorted(file.stem for file in files)
