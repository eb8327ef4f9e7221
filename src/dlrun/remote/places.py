"""Which paths are remote, and where their working copies lie. Standard library only."""

import os
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from dlrun.errors import DlrunError
from dlrun.system.user_cache import user_cache

# Path() makes s3:/bucket of s3://bucket, and options are paths.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)
_LOCAL = ("file", "local")  # their paths begin with a slash
_READ_ONLY = ("http", "https", "git", "github", "data", "zip", "tar", "reference")
# Servers of one protocol have buckets of the same name: each has working copies of its own.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "FSSPEC_S3_ENDPOINT_URL")


def url_of(path: Path | str) -> str | None:
    """The URL that a path names, such as ``s3://bucket/runs``; None for a path of this machine.

    Raises:
        DlrunError: If it holds what a place of runs can't have, such as a password.
    """
    match = _URL.fullmatch(str(path))
    if match is None:
        return None
    protocol, rest = match.groups()
    if "@" in rest:
        raise DlrunError(
            f"{protocol}://: a place of runs is recorded, and can't hold a name or a password",
            hint="set credentials in the environment, such as AWS_ACCESS_KEY_ID",
        )
    parts = [part for part in rest.split("/") if part]
    if (
        not parts
        or ".." in parts
        or "." in parts
        or not rest.isprintable()
        or set(rest) & set("?#")
    ):
        raise DlrunError(
            f"{str(path)!a}: expected a bucket and a path", hint=f"{protocol}://BUCKET/runs"
        )
    if protocol == "memory":
        raise DlrunError(
            f"{path}: nothing outlives the process in memory://",
            hint="file:///PATH is a place to try",
        )
    if protocol in _READ_ONLY:
        raise DlrunError(
            f"{path}: runs can't be written to {protocol}://", hint="for example s3://BUCKET/runs"
        )
    return f"{protocol}://{'/' if protocol in _LOCAL else ''}{'/'.join(parts)}"


def root() -> Path:
    """``DLRUN_REMOTE``, or ``dlrun/remote`` in the user's cache directory: the working copies."""
    if path := os.environ.get("DLRUN_REMOTE"):
        return Path(path).absolute()
    return user_cache().absolute() / "remote"


def working_path(url: str) -> Path:
    """Where the working copy of a URL from :func:`url_of` lies."""
    protocol, _, rest = url.partition("://")
    endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
    if protocol in ("s3", "s3a") and endpoint:
        protocol += "@" + re.sub(r"[^\w.-]", "_", urlsplit(endpoint).netloc or endpoint)
    return root() / protocol / rest.lstrip("/")


def working_folder(path: Path) -> Path:
    """A folder of this machine as it is; for a remote one, its working copy."""
    url = url_of(path)
    return path if url is None else working_path(url)


def url_for(path: Path) -> str | None:
    """The URL whose working copy a path is; None for any other path."""
    if not path.is_absolute():  # as a working copy is; told at once, of thousands of runs
        return None
    text, start = str(path), f"{root()}/"
    if not text.startswith(start):
        return None
    protocol, _, rest = text[len(start) :].partition("/")
    protocol = protocol.partition("@")[0]
    return f"{protocol}://{'/' if protocol in _LOCAL else ''}{rest}" if rest else None


def refuse_remote(folder: Path, what: str) -> None:
    """Check that a folder is one of this machine.

    Raises:
        DlrunError: If it is not; ``what`` needs such a folder.
    """
    if (url := url_of(folder)) is not None:
        raise DlrunError(
            f"{url}: {what} needs a folder of this machine",
            hint="train, resume, sweep and all that reads runs take a bucket too",
        )


def require_output(output: Path | None, run: Path, name: str) -> None:
    """Check that a result of a remote run is given a place: its working copy is none.

    Args:
        output: What was typed.
        run: The directory of the run.
        name: A name to suggest.

    Raises:
        DlrunError: If it has none.
    """
    if output is None and (url := url_for(run)) is not None:
        raise DlrunError(
            f"{url} is remote: say where on this machine to write the result",
            hint=f"--output {name}",
        )


def shown_path(path: Path) -> str:
    """A path as users name it: a working copy by its URL."""
    return url_for(path) or str(path)


def typed_path(path: Path) -> str:
    """A path as :func:`shown_path` names it, quoted where a shell needs it, to type again."""
    return shlex.quote(shown_path(path))


def shown_text(text: str) -> str:
    """A text for users, in which every working copy is named by its URL."""
    start = f"{root()}/"
    if start not in text:
        return text

    def name(match: re.Match[str]) -> str:
        return f"{match[1]}://{'/' if match[1] in _LOCAL else ''}"

    return re.sub(re.escape(start) + r"([a-z][a-z0-9+.-]+)(?:@[\w.-]+)?/", name, text)
