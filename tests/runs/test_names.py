"""Short names of runs: unique, as short as possible, and found again."""

from pathlib import Path

import pytest

from dlrun.runs.names import has_name, short_names

MLP = "runs/mnist_mlp/2026-11-21_10-04-31_k3f9"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([MLP], ["k3f9"]),
        ([MLP, "runs/mnist_mlp/2026-11-21_10-04-32_69jz"], ["k3f9", "69jz"]),
        (["sweep/0", "sweep/1"], ["0", "1"]),
        # The same id, on another day or in another folder.
        (
            ["a/2026-11-21_10-04-31_k3f9", "a/2026-11-22_10-04-31_k3f9"],
            ["2026-11-21_10-04-31_k3f9", "2026-11-22_10-04-31_k3f9"],
        ),
        (["a/b/0", "c/b/0", "c/b/1"], ["a/b/0", "c/b/0", "1"]),
        ([], []),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], names: list[str]) -> None:
    assert short_names([Path(path) for path in paths]) == names


def test_each_name_finds_only_its_run() -> None:
    paths = [Path(f"runs/{name}/2026-11-21_10-04-31_{id}") for name in "ab" for id in ("k3f9", "x")]
    paths += [Path(path) for path in ("runs/a/deeper/k3f9", "runs/a/0", "runs/b/0", "runs/0")]
    for parts in (1, 2):
        for run, name in zip(paths, short_names(paths, parts=parts), strict=True):
            assert [path for path in paths if has_name(path, name)] == [run]
