"""The commands and their options, read from the source: importing Typer takes 0.1 s."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlrun.exports import formats

SOURCE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Parameter:
    """An argument or an option of a command.

    Args:
        name: Its name in Python.
        flags: As typed, such as ``--json``; none for an argument.
        help: Its sentence.
        is_flag: Whether it takes no value.
        several: Whether an argument takes all remaining words.
        is_path: Whether its value is a path.
        is_run: Whether its value is a run: its metavar begins with ``RUN``.
        choices: Its values, as far as they are words: those of its metavar, as in
            ``best|last|EPOCH``, of its enum, or that the command requires with ``require_choice``.
    """

    name: str
    flags: tuple[str, ...]
    help: str = ""
    is_flag: bool = False
    several: bool = False
    is_path: bool = False
    is_run: bool = False
    choices: tuple[str, ...] = ()


def command_names() -> dict[str, str]:
    """Each command with the first line of its docstring."""
    tree = ast.parse((SOURCE / "cli.py").read_text(encoding="utf-8"))
    [table] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMMANDS"
    ]
    names = [name for of in ast.literal_eval(table).values() for name in of]
    return {name: _first_line(_file(name)) for name in names}


def parameters(command: str) -> list[Parameter]:
    """The parameters of a command, in order; none if there is no such command."""
    if not (path := _file(command)).is_file():
        return []
    shared = _shared_annotations()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = command.replace("-", "_")
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    if not functions:
        return []
    choices = dict(_required_choices(functions[0]))
    found = []
    for argument in functions[0].args.args:
        annotation = argument.annotation
        if isinstance(annotation, ast.Name):
            annotation = shared.get(annotation.id)
        if annotation is not None and "hidden=True" not in ast.unparse(annotation):
            found.append(_parameter(argument.arg, annotation, choices))
    return found


def _file(command: str) -> Path:
    return SOURCE / "commands" / f"{command.replace('-', '_')}.py"


def _first_line(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == path.stem)
    return (ast.get_docstring(function) or "").partition("\n")[0]


@functools.cache
def _arguments() -> ast.Module:
    return ast.parse((SOURCE / "commands/arguments.py").read_text(encoding="utf-8"))


def _shared_annotations() -> dict[str, ast.expr]:
    """The annotations that several commands share, by name."""
    return {
        ast.unparse(node.targets[0]): node.value
        for node in _arguments().body
        if isinstance(node, ast.Assign)
    }


def _required_choices(function: ast.FunctionDef) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What ``require_choice("--split", split, ("train", ...))`` says, by parameter."""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "require_choice":
            _, value, options = call.args[:3]
            if ast.unparse(options) == "formats.names()":
                yield ast.unparse(value), tuple(formats.names())
                continue
            try:
                yield ast.unparse(value), tuple(ast.literal_eval(options))
            except (ValueError, TypeError):  # computed
                continue


def _parameter(name: str, annotation: ast.expr, choices: dict[str, tuple[str, ...]]) -> Parameter:
    assert isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple)
    kind, info = ast.unparse(annotation.slice.elts[0]), annotation.slice.elts[1]
    assert isinstance(info, ast.Call)
    metavar = _text(info, "metavar")
    typed = [str(word.value) for word in info.args if isinstance(word, ast.Constant)]
    flags = [flag for word in typed for flag in word.split("/")]  # --data/--no-data
    is_option = ast.unparse(info.func).endswith("Option")
    if is_option and not flags:
        flags = [f"--{name.replace('_', '-')}"]
    return Parameter(
        name,
        tuple(flags) if is_option else (),
        _text(info, "help", choices.get(name, ())),
        is_flag=kind == "bool",
        several="list" in kind,
        is_path="Path" in kind,
        is_run=re.match(r"RUN\b", metavar) is not None,
        choices=choices.get(name) or _enum_values(kind) or _words(metavar),
    )


def _text(info: ast.Call, keyword: str, choices: Sequence[str] = ()) -> str:
    """What a keyword of ``typer.Option(...)`` says; empty without.

    A field of an f-string stands for the choices, which it lists.
    """
    node = next((k.value for k in info.keywords if k.arg == keyword), ast.Constant(""))
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [p.value if isinstance(p, ast.Constant) else ", ".join(choices) for p in parts]
    return "".join(str(text) for text in texts)


def _words(metavar: str) -> tuple[str, ...]:
    """The words that a metavar has for themselves: best and last of ``best|last|EPOCH``."""
    return tuple(word for word in metavar.split("|") if word.islower()) if "|" in metavar else ()


def _enum_values(kind: str) -> tuple[str, ...]:
    """The values of an enum of ``arguments.py``; none if there is no such enum."""
    bodies = [n.body for n in _arguments().body if isinstance(n, ast.ClassDef) and n.name == kind]
    members = [node for body in bodies for node in body if isinstance(node, ast.Assign)]
    return tuple(str(ast.literal_eval(member.value)) for member in members)
