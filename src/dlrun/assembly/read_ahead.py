"""Read a data set in a process of its own, into the data cache.

Reading a CSV takes more memory than a small model. A process that finds it in the cache, as all
runs but the first do, has no part in that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlrun.assembly.start import is_of_dlrun, read_data
from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.system.child import python_command

if TYPE_CHECKING:
    from dlrun.config.schema import Config


def read_ahead(config: Config, overrides: Sequence[str], *, project: Project) -> None:
    """Let another process read the user's files, if a config's data set is made of some.

    What is wrong with them is told when this process reads them.

    Args:
        config: Composed from what follows.
        overrides: As typed.
        project: The user's own options, and what is trusted.
    """
    if config.data.get("path") is None or not is_of_dlrun(config):
        return
    job = {"overrides": list(overrides), "project": project.to_json()}
    subprocess.run(
        python_command("dlrun.assembly.read_ahead", json.dumps(job)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def main() -> None:
    """Read the data set of the job that is the only argument."""
    job = json.loads(sys.argv[1])
    read_data(compose(job["overrides"], project=Project.from_json(job["project"])))


if __name__ == "__main__":
    main()
