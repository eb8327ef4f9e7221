"""Calls in a process of the user's, such as a notebook: what dlrun changes there ends with a call.

A command owns its process: it may hide packages from Keras to start faster, seed every generator,
and set variables that frameworks read. In a call of the Python API dlrun is a guest.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_GUEST: ContextVar[bool] = ContextVar("guest", default=False)


def is_guest() -> bool:
    """Whether the process is the user's own."""
    return _GUEST.get()


@contextmanager
def as_guest() -> Iterator[None]:
    """Restore the environment, the search path and the generators of random numbers at the end."""
    token = _GUEST.set(True)
    environment, path = dict(os.environ), sys.path.copy()
    state = random.getstate()
    numpy_state = sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None
    torch_state = _torch_state()
    try:
        yield
    finally:
        _GUEST.reset(token)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        sys.path[:] = path
        random.setstate(state)
        if numpy := sys.modules.get("numpy"):
            # Imported by dlrun alone, it would go on from dlrun's seed each time.
            numpy.random.seed() if numpy_state is None else numpy.random.set_state(numpy_state)
        if torch := sys.modules.get("torch"):
            torch.seed() if torch_state is None else torch.set_rng_state(torch_state)


def _torch_state() -> object:
    torch = sys.modules.get("torch")
    return torch.get_rng_state() if torch and hasattr(torch, "get_rng_state") else None


def in_notebook() -> bool:
    """Whether the output of this process is shown in a notebook."""
    shell = sys.modules.get("IPython.core.getipython")  # not IPython, whose import may be deferred
    found = shell.get_ipython() if shell else None
    return getattr(found, "kernel", None) is not None
