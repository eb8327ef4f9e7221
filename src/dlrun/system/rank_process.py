"""A process of a run that rank 0 has started: it does its part, and ends with rank 0."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import threading

from dlrun.errors import DlrunError
from dlrun.system.ranks import Group, join_group
from dlrun.system.shared_object import SharedObject


def main() -> None:
    """Do the job of stdin."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_rank_0, daemon=True).start()
    log = logging.getLogger("dlrun")
    log.addHandler(logging.NullHandler())
    log.propagate = False  # rank 0 says the same
    module, _, function = job["call"].partition(":")
    try:
        call = getattr(importlib.import_module(module), function)
        rank, count = job["rank"], job["count"]
        shared = SharedObject(job["file"], rank, count)
        with join_group(Group(rank, rank, count, job["rendezvous"], [], count, shared=shared)):
            call(**job["arguments"])
    except DlrunError as error:
        print(f"error: {error.message}", file=sys.stderr)
        sys.exit(error.exit_code)


def _end_with_rank_0() -> None:
    sys.stdin.read()  # until rank 0 closes it, or has ended
    os._exit(1)


if __name__ == "__main__":
    main()
    # Without joining threads: rank 0 waits.
    sys.stdout.flush()
    os._exit(0)
