"""A subclassed model that looks up ids is evaluated on NumPy, though Keras finds no shape there."""

import pytest

from trainings import worker

CODE = """
import keras

class Text(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = keras.layers.Embedding(200, 4)
        self.lstm = keras.layers.LSTM(4)
        self.head = keras.layers.Dense(1)

    def call(self, ids):
        return self.head(self.lstm(self.embedding(ids)))

def text(input_shape, num_classes):
    return Text()
"""
WORDS = ("model=text", "data=tokens", "task=binary_classification", "data.train_samples=64")


@pytest.mark.trains
def test_numpy_evaluates_and_predicts_with_a_subclassed_model_of_ids(dlrun):
    (dlrun.cwd / "my_text.py").write_text(CODE)
    (dlrun.cwd / "configs" / "model").mkdir(parents=True)
    (dlrun.cwd / "configs" / "model" / "text.yaml").write_text("_target_: my_text.text\n")
    result = worker("torch").train(dlrun.cwd, *WORDS, "data.test_samples=40", "epochs=1")
    evaluated = dlrun.warm("numpy", "evaluate", "latest")["metrics"]
    assert evaluated == pytest.approx(result["test"], abs=1e-5)
    done = dlrun.within("numpy", "predict", "latest", "--output", "out.npz")
    assert done.returncode == 0, done.stderr
