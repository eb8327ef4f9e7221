"""Two Gaussian clouds in the plane.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 3, the linear classifier.
"""

import numpy as np

from dlrun.data.dataset import Dataset, Split, split_off

MEANS = ((0.0, 3.0), (3.0, 0.0))
COVARIANCE = ((1.0, 0.5), (0.5, 1.0))


def blobs(
    *,
    samples_per_class: int = 1000,
    validation_samples: int = 200,
    test_samples: int = 400,
    seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Shuffled points ``(2,)`` float32 around (0, 3), class 0, and around (3, 0), class 1.

    Args:
        samples_per_class: Points in each cloud, including those for validation.
        validation_samples: The first N points are for validation.
        test_samples: Points of a separate test set, half of each class.
        seed: Seeds the points.
        limit: Keep the first N samples of each split.
    """
    generator = np.random.default_rng(seed)
    points = _clouds(generator, samples_per_class)
    return split_off(
        points.inputs,
        points.labels,
        _clouds(generator, test_samples // 2),
        validation_samples=validation_samples,
        limit=limit,
        num_classes=2,
    )


def _clouds(generator: np.random.Generator, samples_per_class: int) -> Split:
    clouds = [generator.multivariate_normal(m, COVARIANCE, samples_per_class) for m in MEANS]
    inputs = np.concatenate(clouds).astype(np.float32)
    labels = np.repeat(np.arange(2, dtype=np.uint8), samples_per_class)
    order = generator.permutation(len(labels))
    return Split(inputs[order], labels[order])
