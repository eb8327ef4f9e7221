"""What makes the import of a framework quick and quiet."""

import gc
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def without_packages(packages: Sequence[str]) -> Iterator[None]:
    """Let Keras and the framework find none of these optional packages, unless they are in use.

    Keras imports matplotlib for a gallery of images, pandas to know a data frame, jax for orbax
    where jax is not the backend, and TensorFlow to save a ``.keras`` file; TensorFlow imports jax
    for its lite converter. That is seconds that no run needs, and each of these imports stands in
    a try of its own.
    """
    finder = _Hider([p for p in packages if p not in sys.modules])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def without_gc() -> Iterator[None]:
    """Collect no garbage meanwhile, nor ever look for it in what was imported.

    Imports make objects by the hundred thousand and no garbage. Looking for it costs a fifth of the
    import of TensorFlow or torch, and a tenth of that of jax.
    """
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        if len(sys.modules) > before:
            gc.freeze()


@contextmanager
def filtered_stderr(noise: Sequence[str]) -> Iterator[None]:
    """Leave out lines with these words from what native libraries write to stderr meanwhile.

    They write to the file descriptor, which no setting of Python's reaches.
    """
    try:
        stderr = os.dup(2) if noise else None
    except OSError:  # closed by whoever started this process
        stderr = None
    if stderr is None:
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            for line in written:
                if not any(words.encode() in line for words in noise):
                    os.write(2, line)


class _Hider(MetaPathFinder):
    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._thread = threading.get_ident()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        # Another thread may be importing what the user's own data set needs.
        if fullname in self._packages and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)
        return None
