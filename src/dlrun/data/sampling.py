"""Draw as many samples of each class in an epoch."""

import numpy as np


class ClassSampling:
    """The samples of a training epoch, with as many of each class.

    Args:
        classes: The class of each sample, ``(samples,)`` integers.
        oversample: Whether each class has as many samples as the largest one, so that some are
            drawn again; if not, as many as the smallest one, so that some are left out.
    """

    def __init__(self, classes: np.ndarray, *, oversample: bool) -> None:
        order = np.argsort(classes, kind="stable")
        _, firsts = np.unique(classes[order], return_index=True)
        self._members = np.split(order, firsts[1:])
        sizes = [len(members) for members in self._members]
        self._of_each = max(sizes) if oversample else min(sizes)

    @property
    def samples(self) -> int:
        """The number of samples per epoch."""
        return self._of_each * len(self._members)

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """The samples of an epoch in a random order, ``(samples,)`` int64.

        Of an oversampled class each sample comes equally often, or once more than others.
        """
        drawn = []
        for members in self._members:
            copies, rest = divmod(self._of_each, len(members))
            drawn += [members] * copies
            drawn.append(generator.choice(members, rest, replace=False))
        return generator.permutation(np.concatenate(drawn).astype(np.int64, copy=False))
