"""Tables of results."""

from typing import Any

import pytest

from dlrun.report.cells import figure
from dlrun.report.tables import doctor_table, evaluate_table, options_table, table, train_table


@pytest.fixture
def result() -> dict[str, Any]:
    return {
        "train": {"loss": 0.1, "accuracy": 0.97},
        "validation": {"loss": 0.12345, "accuracy": 0.96},
        "test": {"loss": 0.0721, "accuracy": 0.9782},
        "best_epoch": 5,
        "epochs": 7,
        "stopped_by": "early_stopping",
        "seconds": {"total": 12.34, "train": 9.87},
        "examples_per_second": 46_800.4,
        "peak_memory_bytes": 1_001_000_000,
    }


def test_columns_are_aligned_and_no_line_ends_in_spaces() -> None:
    assert table([["a", "bb", "c"], ["long", "", "x"], ["", "y", ""]]) == (
        "a     bb  c\nlong      x\n      y"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.1235"),
        (52377.62891, "52377.63"),
        (100499.9978, "100500.0"),
        (1_250_000.4, "1250000"),
        (-31_250_000.0, "-31250000"),
        (2.5e9, "2.5e+09"),
        (0.0000123, "1.23e-05"),
    ],
)
def test_a_number_has_no_digits_that_a_float32_does_not_hold(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_more_digits_are_shown_of_large_numbers_too_where_they_are_asked_for() -> None:
    assert figure(100499.99781, digits=8) == "100499.99781"


def test_a_training_result_has_splits_epoch_time_and_memory(result: dict[str, Any]) -> None:
    assert train_table(result).splitlines() == [
        "split       loss    accuracy",
        "train       0.1000  0.9700",
        "validation  0.1235  0.9600",
        "test        0.0721  0.9782",
        "",
        "epoch 5 of 7, stopped by early_stopping; 12.3 s in all, 9.9 s training, "
        "46,800 examples/s, 1,001 MB",
    ]


def test_the_memory_of_a_device_stands_beside_that_of_the_host(result: dict[str, Any]) -> None:
    text = train_table(result | {"device_memory_bytes": 3_214_000_000})
    assert text.endswith("46,800 examples/s, 1,001 MB, 3,214 MB on the device")
    assert train_table(result | {"device_memory_bytes": None}) == train_table(result)


def test_a_missing_split_is_left_out(result: dict[str, Any]) -> None:
    text = train_table(result | {"validation": {}})
    assert "validation" not in text
    assert "test        0.0721" not in text


def test_a_missing_metric_is_blank(result: dict[str, Any]) -> None:
    text = train_table(result | {"train": {"loss": 0.1}}).splitlines()
    assert text[1] == "train       0.1000"


def test_an_evaluation_has_its_backend_and_epoch() -> None:
    result = {
        "split": "test",
        "samples": 10_000,
        "backend": "numpy",
        "checkpoint": "best",
        "epoch": 5,
        "metrics": {"loss": 0.0721, "accuracy": 0.9782},
    }
    assert evaluate_table({**result, "checkpoint": "5"}).splitlines() == [
        "split  samples  backend  checkpoint  loss    accuracy",
        "test   10,000   numpy    epoch 5     0.0721  0.9782",
    ]
    text = evaluate_table(result)
    assert text.splitlines() == [
        "split  samples  backend  checkpoint      loss    accuracy",
        "test   10,000   numpy    best (epoch 5)  0.0721  0.9782",
    ]


def test_options_are_listed_under_their_group_and_aligned() -> None:
    text = options_table({"model": {"mlp": "Small.", "convnet": "Large."}, "loop": {"fit": ""}})
    assert text == "model\n  mlp      Small.\n  convnet  Large.\nloop\n  fit"


def test_the_doctor_says_how_to_fix_each_backend() -> None:
    text = doctor_table(
        {
            "dlrun": "0.1.0",
            "python": "3.11.7",
            "platform": "Linux",
            "cores": 2,
            "backends": {
                "jax": {
                    "status": "ok",
                    "version": "0.10.2",
                    "keras": "3.15.1",
                    "devices": ["cpu:0", "gpu:0"],
                    "trains": True,
                },
                "numpy": {
                    "status": "ok",
                    "version": "2.4.0",
                    "devices": ["cpu:0"],
                    "trains": False,
                },
                "tensorflow": {
                    "status": "broken",
                    "error": "ImportError: no",
                    "install": "pip install --force-reinstall 'dlrun[tensorflow]'",
                    "trains": True,
                },
                "torch": {
                    "status": "missing",
                    "install": "pip install 'dlrun[torch]'",
                    "trains": True,
                },
            },
        }
    ).splitlines()
    assert text[0] == "dlrun 0.1.0, Python 3.11.7, Keras 3.15.1, 2 cores, Linux"
    rows = {line.split()[0]: line for line in text[3:]}
    assert "0.10.2   cpu:0, gpu:0" in rows["jax"]
    assert rows["numpy"].endswith("evaluate and predict only")
    assert rows["tensorflow"].endswith(
        "ImportError: no  pip install --force-reinstall 'dlrun[tensorflow]'"
    )
    assert rows["torch"].split() == ["torch", "missing", "pip", "install", "'dlrun[torch]'"]
