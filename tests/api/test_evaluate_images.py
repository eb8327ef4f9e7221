"""Evaluating runs on images of the user's own."""

import pytest

from photos import write_classes, write_image
from trainings import Refused, worker

pytestmark = pytest.mark.trains


def test_images_that_cannot_be_read_are_left_out_if_asked_for(tmp_path):
    jax = worker("jax")
    photos = ("data=image_folder", f"data.path={write_classes(tmp_path / 'photos')}", "data.size=8")
    run = jax.train(tmp_path, *photos, "model=mnist_mlp", "model.units=4", "epochs=1")["path"]
    for name in ("cat", "dog", "owl"):
        for number in range(4):  # alike for each class, so that two thirds are wrong
            write_image(tmp_path / "new" / name / f"{number}.png", number)
    broken = tmp_path / "new/dog/1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(Refused, match=r"new/dog/1\.png: can't be decoded"):
        jax.evaluate(tmp_path, run, data="new")
    result = jax.evaluate(tmp_path, run, data="new", on_error="skip")
    assert (result["samples"], result["skipped"]) == (11, 1)
    wrong = result["figures"]["most_wrong"]
    assert len(wrong) >= 7 and all(of["id"].startswith(f"new/{of['label']}/") for of in wrong)
    broken.unlink()
    expected = jax.evaluate(tmp_path, run, data="new")
    assert result["metrics"] == expected["metrics"] and wrong == expected["figures"]["most_wrong"]
