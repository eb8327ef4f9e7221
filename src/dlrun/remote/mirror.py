"""Send a working copy to its bucket while a run is written, so that training need not wait."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dlrun.errors import DlrunError
from dlrun.remote.bucket import Bucket, RemoteError
from dlrun.remote.folder import Folder
from dlrun.remote.layout import RECORD
from dlrun.remote.lease import BEAT_SECONDS, refuse_other_writer, write_lease
from dlrun.remote.places import url_for, working_folder
from dlrun.system.files import is_file
from dlrun.system.guest import is_guest

log = logging.getLogger("dlrun")

POLL_SECONDS = 0.5
MOST_WAIT_SECONDS = 60.0
LAST_SECONDS = 30.0  # how long the end of a run tries to reach a bucket


@contextmanager
def mirroring(path: Path, is_busy: Callable[[Path], bool | None]) -> Iterator[None]:
    """Send a run, or a sweep with its runs, until the block ends; then what is left.

    A path that is not a working copy is left alone, and so is a run whose sweep is sent by another
    process. What can't be sent stays here: see :func:`check_sent`.

    Args:
        path: The directory of the run or the sweep; its lock must be held.
        is_busy: Whether another process holds the lock of a directory.

    Raises:
        DlrunError: If another machine writes there.
    """
    url = url_for(path)
    if url is None or is_busy(path.parent):
        yield
        return
    mirror = Mirror(path, Bucket(url))
    with suppress(RemoteError):  # reached as it started: training goes on, and tries again
        refuse_other_writer(mirror.bucket)
    mirror.start()
    try:
        yield
    except BaseException:
        mirror.end(tells=True)
        raise
    mirror.end(tells=is_guest())  # a command ends with check_sent


class Mirror:
    """The threads that send a working copy.

    Args:
        path: The directory of the run or the sweep.
        bucket: Its place.
    """

    def __init__(self, path: Path, bucket: Bucket) -> None:
        self.bucket = bucket
        self._path = path
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"dlrun-{name}", daemon=True)
            for name, work in (("mirror", self._send_always), ("lease", self._beat))
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def end(self, *, tells: bool) -> None:
        """Send what is left, and wait for it; a second Ctrl-C ends the wait.

        Args:
            tells: Whether to log what could not be sent.
        """
        self._ended.set()
        try:
            for thread in self._threads:
                thread.join()
            self._send_rest()
        except KeyboardInterrupt:
            log.warning("the upload was interrupted")
        if tells and (left := unsent(self._path)):
            log.warning("%s; upload it with: dlrun push %s", left, self.bucket.url)

    def _send_rest(self) -> None:
        until = time.monotonic() + LAST_SECONDS
        for number in itertools.count():
            try:
                files = [size for folder in self._folders() for size in folder.unsent().values()]
                if sum(files) > 100e6:
                    log.info("upload %s to %s", _amount(files), self.bucket.url)
                self._send()
                write_lease(self.bucket, ended=True)
                return
            except (RemoteError, OSError) as error:
                if time.monotonic() > until:
                    log.warning("%s", _line(error))
                    return
                if number == 0:
                    log.warning("%s; trying again", _line(error))
                time.sleep(min(2**number, 8))

    def _send_always(self) -> None:
        wait, failed = POLL_SECONDS, False
        while not self._ended.wait(wait):
            start = time.monotonic()
            try:
                self._send()
            except Exception as error:  # whatever it is, training goes on
                if not failed:
                    log.warning("%s; training goes on, and dlrun tries again", _line(error))
                failed = True
                wait = min(max(2 * wait, 1.0), MOST_WAIT_SECONDS)
                continue
            if failed:
                log.info("%s is reached again", self.bucket.url)
            failed = False
            # A slow connection is given as much rest as work.
            wait = min(max(POLL_SECONDS, time.monotonic() - start), MOST_WAIT_SECONDS)

    def _beat(self) -> None:
        while True:
            with suppress(Exception):  # the other thread reports it
                write_lease(self.bucket)
            if self._ended.wait(BEAT_SECONDS):
                return

    def _send(self) -> None:
        for folder in self._folders():
            folder.send()

    def _folders(self) -> Iterator[Folder]:
        """The runs, and then the sweep that tells of them."""
        return _folders(self._path, self.bucket)


def push(path: Path) -> int:
    """Send what a working copy has and its bucket has not; returns how many files.

    Args:
        path: The directory of a run or a sweep; its lock must be held.

    Raises:
        DlrunError: If another machine writes there, or the bucket can't be reached.
    """
    url = url_for(path)
    if url is None:
        return 0
    bucket = Bucket(url)
    refuse_other_writer(bucket)
    return sum(folder.send() for folder in _folders(path, bucket))


def unsent(path: Path) -> str | None:
    """A line on what of a working copy is not in its bucket; None if nothing is left."""
    url = url_for(path)
    if url is None:
        return None
    sizes = [size for folder in _folders(path, Bucket(url)) for size in folder.unsent().values()]
    return f"not uploaded: {_amount(sizes)} of {url}" if sizes else None


def check_sent(path: Path) -> None:
    """Check that all of a run or a sweep is in its bucket, if it has one.

    Args:
        path: As its result names it.

    Raises:
        DlrunError: If it is not, with exit code 1.
    """
    folder = working_folder(path)
    if (left := unsent(folder)) is not None:
        raise DlrunError(left, hint=f"dlrun push {url_for(folder)}", exit_code=1)


def _folders(path: Path, bucket: Bucket) -> Iterator[Folder]:
    if not is_file(path / RECORD):
        for record in sorted(path.glob(f"[!.]*/{RECORD}")):
            yield Folder(record.parent, bucket, record.parent.name)
    yield Folder(path, bucket)


def _amount(sizes: list[int]) -> str:
    return f"{len(sizes)} file{'s' * (len(sizes) != 1)}, {sum(sizes) / 1e6:,.1f} MB"


def _line(error: BaseException) -> str:
    return error.message if isinstance(error, DlrunError) else str(error)
