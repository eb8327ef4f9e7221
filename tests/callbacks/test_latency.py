"""``+callbacks=latency``: the time of a prediction, without compilation."""

import pytest

from dlrun.sweeps.objectives import with_latency
from trainings import worker

SLEEPS = """
import time
import keras

class Slow(keras.layers.Layer):
    def call(self, x):
        time.sleep(0.03)
        return x

def slow(input_shape, num_classes, units=1):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), Slow()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])
"""


@pytest.mark.trains
def test_the_time_of_a_prediction_is_in_the_result(tmp_path):
    (tmp_path / "my_net.py").write_text(SLEEPS)
    typed = ("model=mnist_mlp", "model._target_=my_net.slow", "data.limit=64", "epochs=1")
    seconds = worker("torch").train(tmp_path, *typed, "+callbacks=latency")["seconds"]
    assert seconds["predict"] >= 0.03
    assert "predict" not in worker("torch").train(tmp_path, *typed)["seconds"]


def test_a_search_for_latency_measures_it():
    goals = "val_loss,predict_seconds:min"
    assert with_latency(goals, ["a=1"]) == ["a=1", "+callbacks=latency"]
    for typed in (["+callbacks=latency"], ["callbacks=[default,latency]"]):
        assert with_latency(goals, typed) == typed
    assert with_latency("val_loss,parameters", ["a=1"]) == ["a=1"]
    assert with_latency(None, ["a=1"]) == ["a=1"]
