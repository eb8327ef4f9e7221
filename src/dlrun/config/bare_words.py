"""What was meant by words among the overrides that have no ``=``, or spaces around it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields

from dlrun.config.groups import GROUPS
from dlrun.config.options import list_options
from dlrun.config.schema import Config
from dlrun.errors import nearest

KEYS = frozenset(field.name for field in fields(Config)) - {"choices", "reproduces"}
DEFAULTS = {field.name: field.default for field in fields(Config)}
COMPLETE = re.compile(r"[^=]=[^=]")
SHORTEST, SIMILARITY = 3, 0.75  # of a word that is compared with the options of all groups
KNOWN = "'dlrun list' shows the options, 'dlrun config' the keys"
FLAG = "an option such as --json takes no value; a key does, as in smoke=true"
TRUTH_VALUES = ("true", "false", "yes", "no", "on", "off")
APART = re.compile(r"([\w.]+) ?([=:]{0,2}) ?([^=:~+\s][^=\s]*)")


def join_words(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each override, and what it was meant as if spaces divide it.

    As they do in ``epochs = 3``, ``epochs == 3``, ``epochs=1, 2`` and ``data.drop=[a, b]``.
    """
    for several, meant in group_words(words):
        yield " ".join(several), meant


def group_words(words: Sequence[str]) -> Iterator[tuple[Sequence[str], str | None]]:
    """Yield the words of each override, and what several of them were meant as."""
    at = 0
    while at < len(words):
        size, line = _assigned(words[at:]) or (1, words[at])
        further, line = _listed(line, words[at + size :])
        count = size + further
        yield words[at : at + count], line if count > 1 else None
        at += count


def _assigned(words: Sequence[str]) -> tuple[int, str] | None:
    """How many words are a key, a separator and a value, and what they mean; None if none are."""
    for size in (3, 2):
        several = words[:size]
        text = APART.fullmatch(" ".join(several))
        if len(several) < size or text is None or any(map(COMPLETE.search, several)):
            continue
        key = text[1] if "." in text[1] or text[1] in KEYS else None
        if key or (text[2] and (key := nearest(text[1], KEYS))):
            return size, f"{key}={text[3]}"
    return None


def _listed(line: str, words: Sequence[str]) -> tuple[int, str]:
    """How many words belong to the values of an override, and all of it with its brackets closed.

    None do if the brackets do not fit each other.
    """
    whole, count = line, 0
    for word in words if COMPLETE.search(line) else ():
        divided = whole.endswith(",") or word.startswith(",")
        if not (_open_brackets(whole) or divided) or COMPLETE.search(word):
            break
        whole, count = f"{whole}{'' if divided else ' '}{word}", count + 1
    still_open = _open_brackets(whole)
    if not count or still_open is None:
        return 0, line
    whole += still_open
    # In quotes, as a shell takes brackets and braces for its own.
    return count, f"'{whole}'" if re.search("[][{}() ]", whole) else whole


def _open_brackets(line: str) -> str | None:
    """What closes the brackets that are open at the end of a line; None if others were closed."""
    closing = ""
    for sign in line:
        if sign in "[{(":
            closing = "]})"["[{(".index(sign)] + closing
        elif sign in "]})":
            if not closing.startswith(sign):
                return None
            closing = closing[1:]
    return closing


def placeholder(key: str) -> str:
    """What stands for the value of a key that was typed without one."""
    return "true" if DEFAULTS.get(key) is False else "VALUE"


def meant_by(word: str, *, only_exact: bool = False) -> tuple[str | None, str | None]:
    """What was meant by a word without ``=``, and a hint; None for what is not known.

    Args:
        word: As typed.
        only_exact: Not what is only similar to the word.
    """
    key, colon, value = word.partition(":")
    near = key if "." in key else nearest(key, KEYS)
    if colon and value and near:
        return f"{near}={value.strip()}", None
    if word in GROUPS:
        return None, f"{word}=NAME, of 'dlrun list {word}'"
    if word in KEYS:
        return f"{word}={placeholder(word)}", None
    if word == "help":
        return "--help", None
    options = list_options()
    names = {option for group in options.values() for option in group}
    option = word if word in names else None
    if option is None and not only_exact and len(word) >= SHORTEST:
        option = nearest(word, names, similarity=SIMILARITY)
    if found := [f"{group}={option}" for group, names in options.items() if option in names]:
        return " or ".join(found[:3]), None
    hint = FLAG if word.lower() in TRUTH_VALUES else KNOWN
    return None, hint if word[:1].isalpha() and not only_exact else None
