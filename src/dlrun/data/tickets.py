"""Generated customer support tickets: several inputs, several labels.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, section 7.2.2.2. The book draws
inputs and labels apart; here the labels follow from the inputs, so that learning shows.
"""

import numpy as np

from dlrun.data.dataset import Dataset, Split

TITLE_WORDS, BODY_WORDS, TAGS = 8, 60, 3  # drawn for a ticket; one drawn twice counts once
TOPIC, MOOD = 0.2, 0.3  # shares of a ticket's words that tell its department and its urgency
QUICK, LONG = 0.45, 0.65  # effort under the one is quick, above the other difficult


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
    """Tickets with a title, a text and tags; to learn are their priority and their department.

    Inputs are 0 or 1 for each word and tag, uint8: ``title`` and ``text_body``
    ``(vocabulary_size,)``, ``tags`` ``(num_tags,)``. Labels are ``priority``, a number from 0 to 1,
    ``(samples, 1)`` float32, and ``department``, a class, ``(samples,)``.

    Some words belong to one department, some to urgent tickets and some to calm ones; half of a
    ticket's tags are its department's own. The priority is the urgency, with noise.

    Args:
        train_samples: Tickets to train on.
        validation_samples: Tickets that validate, drawn apart.
        test_samples: Tickets of the test split, drawn apart.
        vocabulary_size: Words there are.
        num_tags: Tags there are.
        num_departments: Departments there are.
        difficulty: Add the label ``difficulty``: 0 quick, 1 medium, 2 difficult, ``(samples,)``. It
            follows from urgency and department.
        noise: Share of tickets whose department is wrong, and the deviation of the priority.
        seed: Draws the tickets.
        limit: Keep the first so many samples of each split.
    """
    # A tenth of the words tell something: of urgent tickets, calm ones, each department.
    group = max(vocabulary_size // (10 * (2 + num_departments)), 1)

    def draw(number: int, samples: int) -> Split:
        generator = np.random.default_rng(np.random.SeedSequence([seed, number]))
        department = generator.integers(num_departments, size=samples)
        urgency = generator.random(samples)
        told = (generator, department, urgency, group, vocabulary_size)
        inputs = {
            "title": _words(*told, drawn=TITLE_WORDS),
            "text_body": _words(*told, drawn=BODY_WORDS),
            "tags": _tags(generator, department, num_tags, num_departments),
        }
        priority = np.clip(urgency + generator.normal(0, noise, samples), 0, 1)
        wrong = generator.random(samples) < noise
        seen = np.where(wrong, generator.integers(num_departments, size=samples), department)
        labels = {
            "priority": priority.astype(np.float32)[:, None],
            "department": seen.astype(np.min_scalar_type(num_departments)),
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
    drawn: int,
) -> np.ndarray:
    """Multi-hot words, ``(samples, vocabulary_size)`` uint8; ``group`` words tell the same."""
    shape = (len(department), drawn)
    kind, place = generator.random(shape), generator.integers(group, size=shape)
    calm = generator.random(shape) >= urgency[:, None]
    telling = np.where(kind < TOPIC, 2 + department[:, None], calm) * group + place
    common = generator.integers(vocabulary_size, size=shape)
    return _multi_hot(np.where(kind < TOPIC + MOOD, telling, common), vocabulary_size)


def _tags(
    generator: np.random.Generator, department: np.ndarray, num_tags: int, num_departments: int
) -> np.ndarray:
    """Multi-hot tags, ``(samples, num_tags)`` uint8: half of them the department's own."""
    shape = (len(department), TAGS)
    any_tag = generator.integers(num_tags, size=shape)
    own = any_tag // num_departments * num_departments + department[:, None]
    return _multi_hot(np.where(generator.random(shape) < 0.5, own, any_tag), num_tags)


def _multi_hot(chosen: np.ndarray, size: int) -> np.ndarray:
    hot = np.zeros((len(chosen), size), np.uint8)
    hot[np.arange(len(chosen))[:, None], chosen % size] = 1
    return hot
