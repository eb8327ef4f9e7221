"""The targets that a call may instantiate: what one call trusts, the next does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from dlrun.config.components import is_shipped


@dataclass(frozen=True)
class Approval:
    """What :func:`dlrun.config.trust.check` says of a target.

    Args:
        package: The package that must define it; empty if it ships, None if the user has named
            this very target.
        module_dirs: Where to search for its module, if it does not ship.
    """

    package: str | None
    module_dirs: tuple[Path, ...] = ()


# The targets that check() has approved in this call; one call's are of no use to the next.
_APPROVED: ContextVar[dict[str, Approval]] = ContextVar("approved")


@contextmanager
def separate_approvals() -> Iterator[None]:
    """Begin with no target approved, and forget those that are approved in the block.

    A process of the user's may read several configs, one of them copied from somewhere.
    """
    token = _APPROVED.set({})
    try:
        yield
    finally:
        _APPROVED.reset(token)


def approved_targets() -> dict[str, Approval]:
    """The targets that are approved: of this call, or of the process of a command."""
    try:
        return _APPROVED.get()
    except LookupError:
        approved: dict[str, Approval] = {}
        _APPROVED.set(approved)
        return approved


def approve_shipped(part: str, target: str) -> None:
    """Approve a component that dlrun itself puts into a config, in place of what was composed.

    Args:
        part: Of the config, such as ``schedule``.
        target: A component of dlrun or Keras.

    Raises:
        ValueError: If it is none.
    """
    module, _, name = target.rpartition(".")
    if not is_shipped(part, module, name):
        raise ValueError(f"{target} is no component of {part}")
    approved_targets()[target] = Approval("")
