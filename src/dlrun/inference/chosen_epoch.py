"""Which epoch of a run to load: what ``--checkpoint`` and ``checkpoint=`` mean.

Needs neither NumPy nor the config, so that a command that only reads a checkpoint can begin here.
"""

from dlrun.checkpoints.store import list_epochs, read_best_epoch
from dlrun.errors import DlrunError, did_you_mean
from dlrun.remote.places import typed_path
from dlrun.runs.directory import RunDir

WORDS = ("best", "last")


def require_checkpoint(which: str) -> None:
    """Check that it is ``best``, ``last`` or the number of an epoch.

    Raises:
        DlrunError: If it is not; the hint names the nearest word.
    """
    if which not in WORDS and not which.isdecimal():
        raise DlrunError(
            f"--checkpoint {which}: expected best, last or the number of an epoch",
            hint=did_you_mean(which, WORDS) or "--checkpoint best",
        )


def resolve_epoch(run: RunDir, which: str) -> int:
    """The epoch of the checkpoint that ``best``, ``last`` or a number names.

    Raises:
        DlrunError: If it is another word, or the run has no such checkpoint.
    """
    require_checkpoint(which)
    epochs = list_epochs(run.checkpoints)
    if not epochs and run.record.get("dropped") is True:
        raise DlrunError(
            f"{run.path} has no checkpoint: its sweep has dropped it, as --keep says",
            hint=f"dlrun sweep --resume {typed_path(run.path.parent)} --again {run.path.name}",
        )
    if not epochs:
        raise DlrunError(
            f"{run.path} has no checkpoint",
            hint=f"its status is '{run.record.get('status')}'; train again with the checkpoint"
            " callback",
        )
    if which.isdecimal():
        epoch: int | None = int(which)
    else:
        epoch = read_best_epoch(run.checkpoints) if which == "best" else epochs[-1]
    if epoch not in epochs:
        raise DlrunError(
            f"{run.path} has no checkpoint of epoch {epoch}",
            hint=f"it has epochs {', '.join(map(str, epochs))}: --checkpoint {epochs[-1]}",
        )
    return epoch
