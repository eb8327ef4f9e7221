"""Read a data set in a process of its own, into the data cache.

Reading a CSV takes more memory than a small model. A process that finds it in the cache, as all
runs but the first do, has no part in that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.assembly.start import is_of_dlrun, read_data
from dlrun.config.compose import compose
from dlrun.system.child import python_command

if TYPE_CHECKING:
    from dlrun.config.schema import Config


def read_ahead(
    config: Config, overrides: Sequence[str], *, config_dir: Path | None, trusted: Sequence[str]
) -> None:
    """Let another process read the user's files, if a config's data set is made of some.

    What is wrong with them is told when this process reads them.

    Args:
        config: Composed from what follows.
        overrides: As typed.
        config_dir: The user's own options.
        trusted: Modules that may be instantiated, beside those that the options name.
    """
    if config.data.get("path") is None or not is_of_dlrun(config):
        return
    job = {
        "overrides": list(overrides),
        "config_dir": str(config_dir.resolve()) if config_dir else None,
        "trusted": list(trusted),
    }
    subprocess.run(
        python_command("dlrun.assembly.read_ahead", json.dumps(job)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def main() -> None:
    """Read the data set of the job that is the only argument."""
    job = json.loads(sys.argv[1])
    config_dir = Path(job["config_dir"]) if job["config_dir"] else None
    read_data(compose(job["overrides"], config_dir=config_dir, trusted=job["trusted"]))


if __name__ == "__main__":
    main()
