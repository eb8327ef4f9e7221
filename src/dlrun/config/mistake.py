"""A mistake in a config, and the error that tells all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dlrun.config.spellings import value_here
from dlrun.errors import DlrunError, nearest, shorten

UNKNOWN = "is not a config key"
NO_OVERRIDE = "is not an override: expected key=value"


@dataclass(frozen=True)
class Mistake:
    """What was typed, what is wrong with it, and the likely intention."""

    override: str
    problem: str
    meant: str | None = None
    hint: str | None = None

    @property
    def place(self) -> str:
        """The override as a message shows it."""
        return shorten(self.override)

    def with_values(self, line: str | None) -> "Mistake":
        """The same in a sweep, whose ``line`` has several values; a wrong value stays alone."""
        if line is None or not self.problem.endswith(UNKNOWN):
            return self
        value, values = self.override.partition("=")[2], line.partition("=")[2]
        meant = self.meant
        if meant and meant.endswith(f"={value}"):
            meant = meant.removesuffix(value) + values
            meant = f"'{meant}'" if "(" in values else meant
        return replace(self, override=line, meant=meant)

    @classmethod
    def of(cls, line: str, problem: str, options: Iterable[str]) -> "Mistake":
        """For a value that is not among ``options``, with the nearest of them."""
        key, separator, typed = line.partition("=")
        value = typed or problem.rpartition("'")[0].rpartition("'")[2]
        near = (value_here(value, list(options)) or nearest(value, options)) if separator else None
        return cls(line, problem, meant=f"{key}={near}" if near else None)

    @classmethod
    def of_argument(cls, line: str, key: str, problem: str, names: Iterable[str]) -> "Mistake":
        """For an argument that is not among ``names``, with the nearest of them."""
        parent, _, name = key.rpartition(".")
        near, (_, separator, typed) = nearest(name, names), line.partition("=")
        return cls(line, problem, meant=f"{parent}.{near}{separator}{typed}" if near else None)


def config_error(mistakes: Sequence[Mistake]) -> DlrunError:
    """All mistakes as one error: a line for a single mistake, else a table."""
    mistakes = list(dict.fromkeys(mistakes))
    meant = ", ".join(shorten(mistake.meant) for mistake in mistakes if mistake.meant)
    suggestion = f"did you mean {meant}?" if meant else ""
    hints = dict.fromkeys(mistake.hint for mistake in mistakes if mistake.hint)
    hint = " ".join(filter(None, [suggestion, "; ".join(hints)]))
    if len(mistakes) == 1:
        [mistake] = mistakes
        colon = "" if mistake.problem == NO_OVERRIDE else ":"
        prefix = f"{mistake.place}{colon} " if mistake.override else ""
        message = f"{prefix}{mistake.problem}"
    else:
        width = max(len(mistake.place) for mistake in mistakes)
        rows = [f"  {mistake.place:<{width}}   {mistake.problem}" for mistake in mistakes]
        message = "\n".join([f"{len(mistakes)} mistakes in the config", *rows])
    error = DlrunError(message, hint=hint or None, exit_code=2)
    error.mistakes = mistakes
    return error


def as_typed(error: DlrunError, lines: Mapping[str, str]) -> DlrunError:
    """The error of a sweep's first run, in which a wrong key has all its values.

    Args:
        error: What composing the run has raised.
        lines: What was typed, by the override of the run.
    """
    if not error.mistakes:
        return error
    return config_error([each.with_values(lines.get(each.override)) for each in error.mistakes])
