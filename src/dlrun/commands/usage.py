"""Say what is wrong with a command line, in the form of dlrun's other errors."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import typer

from dlrun.commands.arguments import SPLITS
from dlrun.commands.terminal import print_error
from dlrun.errors import DlrunError, nearest, shorten

# Of click, of which Typer may hold a copy.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
# What other tools call a command.
COMMANDS = {
    "ls": "runs",
    "history": "runs",
    "fit": "train",
    "run": "train",
    "test": "evaluate",
    "validate": "evaluate",
    "infer": "predict",
    "multirun": "sweep",
    "search": "sweep",
    "init": "new",
    "create": "new",
    "plot": "report",
    "rm": "clean",
    "delete": "clean",
    "options": "list",
    "benchmark": "bench",
}


@contextmanager
def report_usage(words: Sequence[str]) -> Iterator[None]:
    """Report what click refuses as an error and a hint, with exit code 2.

    Args:
        words: The command line after ``dlrun``.
    """
    try:
        yield
    except USAGE_ERROR as error:
        print_error(_usage_error(error, words))
        raise typer.Exit(2) from error


def refuse_command(words: Sequence[str], commands: Collection[str]) -> None:
    """Refuse a command that dlrun does not have.

    Args:
        words: The command and what follows it.
        commands: The commands that there are.

    Raises:
        typer.Exit: If the first word is none of them; its error is printed.
    """
    name, *rest = words
    if name in commands:
        return
    near = COMMANDS.get(name) or nearest(name, commands)
    hint = f"did you mean dlrun {near}?" if near else "'dlrun --help' lists them"
    if name in ("help", "version"):
        hint = f"did you mean {' '.join(['dlrun', *rest[:1], f'--{name}'])}?"
    elif "=" in name:
        hint = f"did you mean dlrun train {shorten(name)}?"
    print_error(DlrunError(f"dlrun has no command {shorten(name)}", hint=hint))
    raise typer.Exit(2)


def refuse_options_as_keys(ctx: Any) -> None:
    """Refuse an override such as ``split=test``, which no config has, but the command as an option.

    Args:
        ctx: The context of the command.

    Raises:
        typer.Exit: If there is one; its error is printed.
    """
    names = {name: param for param in ctx.command.params for name in param.opts}
    options = {
        name[2:].replace("-", "_"): (name, param)
        for name, param in names.items()
        if name.startswith("--")
    }
    for word in ctx.params.get("overrides") or ():
        key, _, value = word.partition("=")
        # The user chooses the name of a sweep's zip.
        if key not in options or not value or value.startswith("zip("):
            continue
        from dlrun.config.spellings import is_config_word

        if not is_config_word(key):
            name, param = options[key]
            meant = name if param.is_flag else f"{name} {shorten(SPLITS.get(value, value))}"
            problem = f"'{key}' is not a config key, but an option of {ctx.command_path}"
            print_error(DlrunError(f"{shorten(word)}: {problem}", hint=f"did you mean {meant}?"))
            raise typer.Exit(2)


def _usage_error(error: Any, words: Sequence[str]) -> DlrunError:
    command = error.ctx.command_path if error.ctx else " ".join(["dlrun", *words[:1]])
    hint = f"'{command} --help' shows its arguments and options"
    if (option := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        hint = _instead(error, option, words) or hint
        return DlrunError(f"{command} has no option {shorten(option)}", hint=hint)
    message = error.format_message().replace("'", "").rstrip(".")
    message = re.sub(
        r"Got unexpected extra arguments?(\(s\))? \((.*)\)", r"unexpected argument \2", message
    )
    if wrong := re.match(r"Invalid value for (.*?): (.*)", message, re.DOTALL):
        problem = re.sub(r", unable to parse.*$", "", wrong[2].replace("Input should", "must"))
        name = _with_value(getattr(error.param, "opts", ()), words) or wrong[1].strip("[]")
        return DlrunError(f"{name}: {problem}", hint=hint)
    return DlrunError(f"{command}: {message[:1].lower()}{message[1:]}", hint=hint)


def _instead(error: Any, option: str, words: Sequence[str]) -> str | None:
    """What is typed in place of an option that there is not, as a hint; None if nothing is near.

    What the config has by this very name comes before an option that is only similar.
    """
    names = {name.lstrip("-"): name for name in error.possibilities or ()}
    near = nearest(option.lstrip("-").replace("_", "-"), names)
    similar = f"did you mean {names[near]}?" if near else None
    arguments = {param.name for param in error.ctx.command.params}
    if "overrides" not in arguments:
        return similar

    from dlrun.config.spellings import is_config_word

    key, value = _as_key(option, words)
    if nearest(key, ["data"]) and "source" in arguments:
        return f"did you mean --input {value or 'FILE'}?"
    if not is_config_word(key) and not option.startswith("--"):  # a letter of several, as in -qz
        return similar
    is_exact = near is None or (is_config_word(key) and near.replace("-", "_") != key)
    return _as_override(key, value) if is_exact else similar


def _with_value(names: Collection[str], words: Sequence[str]) -> str | None:
    """An option and its value as typed; None if that is not among the words."""
    for word, following in pairwise([*words, ""]):
        if word in names:
            return f"{word} {shorten(following)}"
        if word.partition("=")[0] in names:
            return shorten(word)
    return None


def _as_key(option: str, words: Sequence[str]) -> tuple[str, str | None]:
    """An option such as ``--batch-size 32`` as a key and its value; None if it has none."""
    found = ((n, word) for n, word in enumerate(words) if word.startswith(option))
    at, typed = next(found, (0, option))
    key, separator, value = typed.lstrip("-").partition("=")
    following = (word for word in words[at + 1 : at + 2] if not word.startswith("-"))
    return key.replace("-", "_"), value if separator else next(following, None)


def _as_override(key: str, value: str | None) -> str | None:
    """Which override stands for an option, as a hint; None if none does."""
    from dlrun.config.bare_words import meant_by, placeholder
    from dlrun.config.compose import compose

    override = f"{key}={value or placeholder(key)}"
    try:
        compose([override])
    except DlrunError as error:
        is_key = "is not a config key" not in error.message
        # It may be an option, as in --jax.
        if not is_key and (chosen := meant_by(key, only_exact=True)[0]):
            return f"did you mean {chosen}?"
        if value or not is_key:
            return error.hint
    return f"did you mean {override}?"
