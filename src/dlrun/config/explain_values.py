"""Explain why a key does not take a value."""

import re
from typing import Any

from omegaconf import Container, DictConfig, ListConfig, OmegaConf

from dlrun.config.mistake import Mistake
from dlrun.config.spellings import without
from dlrun.errors import shorten


def value_mistake(key: str, typed: dict[str, str], error: Exception, before: Any = None) -> Mistake:
    """For a value that its key does not take, or a key that a typed part does not have.

    Args:
        key: The key.
        typed: The text of each override, by key.
        error: What OmegaConf has raised.
        before: A value that the key takes.
    """
    problem = str(error.__cause__ or error).strip().splitlines()[0]
    expected = {"Integer": "an integer", "Float": "a number", "Boolean": "true or false"}
    expected |= {"int": "an integer", "float": "a number", "bool": "true or false"}
    if match := re.search(r"could not be converted to (\w+)|is not a valid (\w+)", problem):
        got = re.search(r"[Vv]alue '(.*?)'", problem)
        kind = match[1] or match[2]
        problem = f"expected {expected.get(kind, kind)}" + (
            f", got {shorten(repr(got[1]))}" if got else ""
        )
    elif match := re.search(r"^Value '(.*?)' .* incompatible with type hint .*float", problem):
        problem = f"expected a number, got {shorten(repr(match[1]))}"
    elif problem.startswith("Cannot merge"):
        is_list = typed.get(key, "").partition("=")[2].startswith("[")
        problem = f"expected {'a mapping, as in {key:value}' if is_list else 'a list'}"
    elif "is not Optional" in problem:
        problem = "can't be null"
    line = typed.get(key, key)
    return Mistake(line, problem, **expected_fix(line, problem, before))


def expected_fix(line: str, problem: str, before: Any) -> dict[str, str | None]:
    """What was meant by a value of the wrong type, or else a hint, as arguments of a Mistake."""
    if not problem.startswith("expected"):
        return {}
    key, equals, value = line.lstrip("+").partition("=")
    meant = as_integer(line, problem) or without(key, equals + value)
    return {"meant": meant, "hint": list_hint(line) or (None if meant else example(key, before))}


def example(key: str, value: Any) -> str | None:
    """A hint with a number or truth value that a key takes; None for a value of another type."""
    if isinstance(value, bool):
        return f"as in {key}=true"
    return f"as in {key}={value}" if isinstance(value, int | float) else None


def as_integer(line: str, problem: str) -> str | None:
    """What an integer is typed as that was typed as ``1e3`` or ``1000.0``; None if it is none."""
    key, _, value = line.partition("=")
    number = re.fullmatch(r"\d{1,15}(\.\d{0,15})?(e\+?\d)?", value, re.IGNORECASE)
    if number is None or not problem.startswith("expected an integer"):
        return None
    return f"{key}={int(float(value))}" if float(value).is_integer() else None


def list_hint(line: str) -> str | None:
    """How several values are typed, where a list stands for a single one."""
    match = re.fullmatch(r"([\w.]+)=\[([^\[\]{}]*,[^\[\]{}]*)\]", line)
    return f"dlrun sweep {match[1]}={match[2].replace(' ', '')}, a run for each" if match else None


def wrong_type(before: Any, after: Any) -> str | None:
    """Why ``after`` can't replace ``before``; None if its type fits.

    The value in the option's YAML file determines the type: null accepts anything, and a mapping
    with a ``_target_`` fits everywhere, as a schedule does for a learning rate.
    """
    if before is None or (isinstance(after, DictConfig) and "_target_" in after):
        return None
    if isinstance(before, DictConfig) and "_target_" in before and isinstance(after, str):
        return None  # Keras' name of a loss or metric; the signature check covers the rest
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        (int, "an integer"),
        (float, "a number"),
        (str, "text"),
        (ListConfig, f"a list, as in [{_as_item(after)}]"),
        (DictConfig, "a mapping, as in {key:value}"),
    ]
    kind, words = next((k for k in kinds if isinstance(before, k[0])), (object, ""))
    fits = isinstance(after, kind) and not (isinstance(after, bool) and kind is not bool)
    if kind is float and isinstance(after, int) and not isinstance(after, bool):
        fits = True
    if kind is str and not isinstance(after, Container):
        fits = True
    if after is None or fits:
        return None
    plain = OmegaConf.to_container(after) if isinstance(after, Container) else after
    return f"expected {words}, got {shorten(repr(plain))}"


def _as_item(value: Any) -> str:
    """What is shown in a list as an example: the value itself, where it may be an item."""
    is_item = isinstance(value, str | int | float) and re.fullmatch(r"[\w./+-]{1,60}", str(value))
    return str(value) if is_item else "1,2"
