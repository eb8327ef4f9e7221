"""A sweep's leaderboard."""

from typing import Any

import pytest

from dlrun.report.sweep import leaderboard, leaderboard_csv


@pytest.fixture
def result() -> dict[str, Any]:
    def run(number: int, value: float, **differs: str) -> dict[str, Any]:
        return {
            "run_dir": f"runs/sweeps/s/{number}",
            "status": "completed",
            "differs": differs,
            "value": value,
            "test": {"loss": value + 0.1},
            "best_epoch": 2,
            "epochs": 2,
            "seconds": {"first_step": 0.1},
            "step_seconds": 0.005,
            "peak_memory_bytes": 400_000_000,
        }

    runs = [
        run(1, 0.2, **{"optimizer.learning_rate": "0.004526042607261291", "model.units": "1024"}),
        run(0, 0.3, **{"optimizer.learning_rate": "0.001", "model.units": "64"}),
    ]
    counts = {"completed": 2, "pruned": 0, "failed": 0}
    keys = ["optimizer.learning_rate", "model.units"]
    told = {"sweep_dir": "runs/sweeps/s", "keys": keys, "monitor": "val_loss"}
    return {"ranking": runs, "runs": runs, **told, **counts}


def test_the_table_shows_four_digits_of_a_value_that_was_drawn(result: dict[str, Any]) -> None:
    assert leaderboard(result).splitlines() == [
        "                                     test    first   step",
        "run  learning_rate  units  val_loss  loss    step s  ms    MB",
        "1    0.004526       1024   0.2000    0.3000  0.10    5.00  400",
        "0    0.001          64     0.3000    0.4000  0.10    5.00  400",
        "",
        "2 completed, 0 failed; runs/sweeps/s",
    ]


def test_the_memory_of_a_device_has_a_column_if_a_run_knows_it(result: dict[str, Any]) -> None:
    result["ranking"][0]["device_memory_bytes"] = 3_214_000_000
    result["ranking"][1]["device_memory_bytes"] = None
    _, head, first, second, *_ = leaderboard(result).splitlines()
    assert head.endswith("ms    MB   MB")
    assert first.endswith("400  3214")
    assert second.endswith("400")
    assert leaderboard_csv(result).splitlines()[0].endswith(",MB,device MB")


def test_the_csv_has_keys_and_values_in_full(result: dict[str, Any]) -> None:
    head, first, _ = leaderboard_csv(result).splitlines()
    assert head.startswith("run,optimizer.learning_rate,model.units,best epoch,val_loss,")
    assert first.startswith("1,0.004526042607261291,1024,2/2,0.2000,0.3000,")
