"""Generated customer support tickets: several inputs, several labels.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, section 7.2.2.2. The book draws
inputs and labels independently; here the labels depend on the inputs, so a model can learn them.
"""

import numpy as np

from dlrun.data.dataset import Dataset, Split

TITLE_WORDS, BODY_WORDS, TAGS = 8, 60, 3  # draws per ticket; duplicates count once
TOPIC, MOOD = 0.2, 0.3  # shares of a ticket's words that depend on its department and its urgency
QUICK, LONG = 0.45, 0.65  # effort below QUICK is quick, from LONG on difficult


def tickets(
    *,
    train_samples: int = 1280,
    validation_samples: int = 320,
    test_samples: int = 320,
    vocabulary_size: int = 10_000,
    num_tags: int = 100,
    num_departments: int = 4,
    difficulty: bool = False,
    noise: float = 0.05,
    seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Tickets with a title, a text and tags, labelled with a priority and a department.

    Inputs are 0 or 1 for each word and tag, uint8: ``title`` and ``text_body``
    ``(vocabulary_size,)``, ``tags`` ``(num_tags,)``. Labels are ``priority``, a number from 0 to 1,
    ``(samples, 1)`` float32, and ``department``, a class, ``(samples,)``.

    Some words belong to one department, some to urgent tickets and some to calm ones; half of a
    ticket's tags belong to its department. The priority is the urgency plus noise.

    Args:
        train_samples: Number of training tickets.
        validation_samples: Number of validation tickets, drawn independently.
        test_samples: Number of test tickets, drawn independently.
        vocabulary_size: Number of distinct words.
        num_tags: Number of distinct tags.
        num_departments: Number of departments.
        difficulty: Add the label ``difficulty``: 0 quick, 1 medium, 2 difficult, ``(samples,)``. It
            depends on urgency and department.
        noise: Share of tickets with a wrong department, and the standard deviation of the priority.
        seed: Seeds the tickets.
        limit: Keep the first N samples of each split.
    """
    # A tenth of the words are informative: about urgent tickets, calm ones, and each department.
    group = max(vocabulary_size // (10 * (2 + num_departments)), 1)

    def draw(number: int, samples: int) -> Split:
        generator = np.random.default_rng(np.random.SeedSequence([seed, number]))
        department = generator.integers(num_departments, size=samples)
        urgency = generator.random(samples)
        arguments = (generator, department, urgency, group, vocabulary_size)
        inputs = {
            "title": _words(*arguments, draws=TITLE_WORDS),
            "text_body": _words(*arguments, draws=BODY_WORDS),
            "tags": _tags(generator, department, num_tags, num_departments),
        }
        priority = np.clip(urgency + generator.normal(0, noise, samples), 0, 1)
        wrong = generator.random(samples) < noise
        labelled = np.where(wrong, generator.integers(num_departments, size=samples), department)
        labels = {
            "priority": priority.astype(np.float32)[:, None],
            "department": labelled.astype(np.min_scalar_type(num_departments)),
        }
        if difficulty:
            effort = (urgency + department / max(num_departments - 1, 1)) / 2
            effort += generator.normal(0, noise, samples)
            labels["difficulty"] = np.digitize(effort, [QUICK, LONG]).astype(np.uint8)
        return Split(inputs, labels)[:limit]

    classes = {"priority": 1, "department": num_departments}
    return Dataset(
        train=draw(0, train_samples),
        validation=draw(1, validation_samples),
        test=draw(2, test_samples),
        num_classes=classes | {"difficulty": 3} if difficulty else classes,
    )


def _words(
    generator: np.random.Generator,
    department: np.ndarray,
    urgency: np.ndarray,
    group: int,
    vocabulary_size: int,
    *,
    draws: int,
) -> np.ndarray:
    """Multi-hot words, ``(samples, vocabulary_size)`` uint8; ``group`` words mean the same."""
    shape = (len(department), draws)
    kind, place = generator.random(shape), generator.integers(group, size=shape)
    calm = generator.random(shape) >= urgency[:, None]
    informative = np.where(kind < TOPIC, 2 + department[:, None], calm) * group + place
    common = generator.integers(vocabulary_size, size=shape)
    return _multi_hot(np.where(kind < TOPIC + MOOD, informative, common), vocabulary_size)


def _tags(
    generator: np.random.Generator, department: np.ndarray, num_tags: int, num_departments: int
) -> np.ndarray:
    """Multi-hot tags, ``(samples, num_tags)`` uint8; half of them belong to the department."""
    shape = (len(department), TAGS)
    any_tag = generator.integers(num_tags, size=shape)
    department_tag = any_tag // num_departments * num_departments + department[:, None]
    return _multi_hot(np.where(generator.random(shape) < 0.5, department_tag, any_tag), num_tags)


def _multi_hot(indices: np.ndarray, size: int) -> np.ndarray:
    hot = np.zeros((len(indices), size), np.uint8)
    hot[np.arange(len(indices))[:, None], indices % size] = 1
    return hot
