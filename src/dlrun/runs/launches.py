"""The folders of launched runs whose machines an engine placed: what these share, and its end."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlrun.runs.status import is_locked
from dlrun.system.files import exists, read_json

FOLDER = "launches"  # in the folder of the runs
REQUEST, OPENED, ENDED = "request.json", "opened.json", "ended.json"


def iter_launches(runs_dir: Path) -> Iterator[Path]:
    """Yield the folder of each launch in a folder of runs, or in those that lie in it.

    Links are never followed.
    """
    for folders in ("", "*/", "*/*/"):
        for request in runs_dir.glob(f"{folders}{FOLDER}/*/{REQUEST}"):
            within = [request, *request.parents][: len(request.relative_to(runs_dir).parts)]
            if not any(path.is_symlink() for path in within):
                yield request.parent


def why_ended(folder: Path) -> str | None:
    """Why nobody needs the folder of a launch any more; None where somebody may.

    On Ray a launch ends with its ``dlrun launch``, which holds a lock. A job of Slurm may wait for
    days, and only Slurm knows whether it still does: it has ended once it, or the ``dlrun launch``
    that followed it, has said so.
    """
    if is_locked(folder) is not False:
        return None
    try:
        request = read_json(folder / REQUEST)
        ended = read_json(folder / ENDED) if exists(folder / ENDED) else None
    except (OSError, ValueError):
        return None
    if isinstance(ended, Mapping):
        return f"a launch that has ended, with exit code {ended.get('code')}"
    return "a launch whose dlrun launch was killed" if _is_on_ray(request) else None


def _is_on_ray(request: Any) -> bool:
    return isinstance(request, Mapping) and str(request.get("engine")).startswith("--ray ")
