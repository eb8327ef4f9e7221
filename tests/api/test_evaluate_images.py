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


def test_labels_of_images_that_are_not_numbers_are_left_out_if_asked_for(tmp_path):
    jax = worker("jax")
    for number in range(12):
        write_image(tmp_path / f"photos/{number}.png", number)
    rows = [f"{number}.png,{number % 5},{number % 3}\n" for number in range(12)]

    def write(name, rows):
        (tmp_path / "photos" / name).write_text("file,height,width\n" + "".join(rows))
        return f"photos/{name}"

    write("labels.csv", rows)
    of = ("data=image_folder", "data.path=photos", "data.labels=labels.csv", "data.size=8")
    targets = ("data.target=[height,width]", "data.kind=regression")
    model = ("model=mnist_mlp", "model.units=4", "epochs=1")
    run = jax.train(tmp_path, *of, *targets, *model)["path"]
    # Of two targets, one is wrong in a row before the other; a row without one is left out.
    wrong = {2: "2.png,3,wide\n", 5: "5.png,high,2\n", 7: "7.png,,1\n"}
    some = write("some.csv", [wrong.get(number, row) for number, row in enumerate(rows)])
    right = write("right.csv", [row for number, row in enumerate(rows) if number not in wrong])
    with pytest.raises(Refused, match=r"2\.png: some\.csv, row 3: column 'width': 'wide' is not"):
        jax.evaluate(tmp_path, run, data=some)
    result = jax.evaluate(tmp_path, run, data=some, on_error="skip")
    expected = jax.evaluate(tmp_path, run, data=right)
    assert (result["samples"], result["skipped"]) == (9, 2)
    assert result["metrics"] == expected["metrics"]
    dates = write("dates.csv", [f"{number}.png,2026-01-31,1\n" for number in range(3)])
    with pytest.raises(Refused, match="no file could be read"):
        jax.evaluate(tmp_path, run, data=dates, on_error="skip")
