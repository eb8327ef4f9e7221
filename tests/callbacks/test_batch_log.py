"""The loss of every Nth batch in the log."""

import csv
import re


def test_a_logged_loss_is_the_batch_loss_not_the_mean(dlrun):
    # Without learning, the mean of the batches is the mean of the epoch.
    done = dlrun.within(
        "jax",
        "train",
        "data.limit=640",
        "epochs=1",
        "optimizer=sgd",
        "optimizer.learning_rate=0",
        "+callbacks=batch_log",
        "callbacks.batch_log.every=1",
    )
    assert done.returncode == 0, done.stderr
    losses = [float(loss) for loss in re.findall(r"batch  \d+/5  loss (\S+)", done.stderr)]
    with (dlrun.only_run() / "metrics.csv").open(encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    assert len(losses) == 5
    assert len(set(losses)) == 5
    assert abs(sum(losses) / 5 - float(row["loss"])) < 1e-3
