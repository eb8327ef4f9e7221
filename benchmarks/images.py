"""A folder of 10,000 JPEGs: against ``image_dataset_from_directory``, and from the cache.

python benchmarks/images.py first         # the first and the second epoch against the plain script
python benchmarks/images.py sweep         # 8 runs decode once
python benchmarks/images.py cache         # epochs from the cache against the same arrays in memory

Options: --folder (made if it is missing), --images, --pairs, --model, --backends, --loops.
"""

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from turns import take_turns

HERE = Path(__file__).parent
COMMAND = str(Path(sys.executable).with_name("dlrun"))
CLASSES = 10


def make_image(folder, number):
    """One 256 x 256 JPEG: gradients, a few shapes, and the noise of a camera."""
    from PIL import Image

    generator = np.random.default_rng(number)
    y, x = np.mgrid[0:256, 0:256] / 256
    picture = np.empty((256, 256, 3))
    for channel in range(3):
        a, b, c = generator.uniform(-1, 1, 3)
        picture[..., channel] = 128 + 60 * (a * x + b * y) + 30 * c * np.sin(9 * x * y + c)
    for _ in range(6):
        cx, cy, radius = generator.uniform(0, 1, 3)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < (radius / 4) ** 2
        picture[inside] += generator.uniform(-60, 60, 3)
    picture += generator.normal(0, 8, picture.shape)
    picture[..., number % 3] += 12 * (number % CLASSES)  # something to learn
    path = folder / f"class_{number % CLASSES}" / f"{number:05}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, quality=92)


def make_images(folder, images):
    if not folder.is_dir():
        with ProcessPoolExecutor() as pool:
            list(pool.map(make_image, itertools.repeat(folder), range(images), chunksize=100))
    sizes = [path.stat().st_size for path in folder.rglob("*.jpg")]
    print(f"{len(sizes):,} JPEGs of {statistics.mean(sizes) / 1000:.1f} kB", flush=True)


def dlrun(folder, model, *more, verb="train"):
    # All images but one are trained on, as by the plain script.
    command = [COMMAND, verb, "data=image_folder", f"data.path={folder}", "data.size=96"]
    command += ["data.validation=0", "data.test=1", "task.monitor=loss", f"model={model}"]
    return [*command, "~callbacks.checkpoint", "~callbacks.early_stopping", "--quiet", *more]


def times(command, cwd, **variables):
    """The seconds from the start of a program to the end of each of its epochs."""
    log = cwd / "times"
    log.unlink(missing_ok=True)
    env = {**os.environ, "EPOCH_TIMES": str(log), "PYTHONPATH": str(HERE), **variables}
    began = time.time()
    run(command, cwd, env)
    return [float(line) - began for line in log.read_text(encoding="utf-8").split()]


def run(command, cwd, env):
    done = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def first(chosen, cwd):
    backend = chosen.backends.split(",")[0]
    plain = [sys.executable, HERE / "plain_images.py", chosen.folder, "2", chosen.model]
    ours = dlrun(chosen.folder, chosen.model, f"backend={backend}", "epochs=2")
    ours.append("+callbacks.times._target_=epoch_times.EpochTimes")
    rows = []
    for pair in range(chosen.pairs):
        shutil.rmtree(cwd / "cache", ignore_errors=True)
        own = {"DLRUN_CACHE": str(cwd / "cache")}
        programs = [("plain", plain, {"KERAS_BACKEND": backend}), ("dlrun", ours, own)]
        seconds = {}
        for name, command, variables in programs[:: 1 if pair % 2 else -1]:
            seconds[name] = times(command, cwd, **variables)
        again = times(ours, cwd, **own)
        (p1, p2), (d1, d2) = seconds["plain"], seconds["dlrun"]
        rows.append((d1 / p1, (d2 - d1) / (p2 - p1), again[0] / p1))
        print(
            f"{backend} {chosen.model}: start to end of epoch 1, s: plain {p1:.1f} dlrun {d1:.1f}"
            f" (from the cache {again[0]:.1f}); epoch 2: plain {p2 - p1:.1f} dlrun {d2 - d1:.2f}",
            flush=True,
        )
    words = ("first epoch", "second epoch", "first epoch from the cache")
    for name, ratios in zip(words, zip(*rows, strict=True), strict=True):
        print(f"{name} over plain: median {statistics.median(ratios):.2f}", [*map(rounded, ratios)])


def sweep(chosen, cwd):
    env = {**os.environ, "DLRUN_CACHE": str(cwd / "cache"), "PYTHONPATH": str(HERE)}
    command = dlrun(chosen.folder, chosen.model, "epochs=1", "seed=range(8)", verb="sweep")
    command.remove("--quiet")
    began = time.time()
    run(command, cwd, env)
    # An entry of the cache is made under a lock, so each of them was decoded once.
    entries = len(list((cwd / "cache").glob("*/images.npy")))
    print(f"8 runs in {time.time() - began:.0f} s: the images were decoded {entries} times")


def cache(chosen, cwd):
    """Epochs in turns: the same images memory-mapped from the cache, and from an ``.npz``."""
    os.environ["DLRUN_CACHE"] = str(cwd / "cache")
    os.environ["PYTHONPATH"] = str(HERE)
    from dlrun.data.image_folder import image_folder

    data = image_folder(path=str(chosen.folder), size=96, validation=0, test=1).dataset()
    arrays = {"x_train": data.train.inputs, "y_train": data.train.labels}
    np.savez(cwd / "mine.npz", **arrays, x_test=data.test.inputs, y_test=data.test.labels)
    for backend, loop in itertools.product(chosen.backends.split(","), chosen.loops.split(",")):
        more = [f"backend={backend}", f"loop={loop}", f"epochs={chosen.pairs + 1}"]
        more += ["+callbacks.turns._target_=turn_callback.TakeTurns"]
        memory = [COMMAND, "train", "data=npz", "data.path=mine.npz", "data.scale=255"]
        memory += ["data.validation_samples=0", f"data.num_classes={CLASSES}"]
        memory += ["task.monitor=loss", f"model={chosen.model}"]
        memory += ["~callbacks.checkpoint", "~callbacks.early_stopping", "--quiet", *more]
        commands = {"cache": dlrun(chosen.folder, chosen.model, *more), "memory": memory}
        seconds = take_turns(commands, chosen.pairs, cwd)
        ratios = [b / a for a, b in zip(seconds["cache"], seconds["memory"], strict=True)]
        medians = " ".join(f"{name} {statistics.median(s):.2f}" for name, s in seconds.items())
        print(f"{backend} {loop}: epoch, s: {medians}; speed over memory's", end=" ")
        print(f"{statistics.median(ratios):.2f}", [*map(rounded, ratios)], flush=True)


def rounded(number):
    return round(number, 2)


PARTS = {"first": first, "sweep": sweep, "cache": cache}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "dlrun-jpegs")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--model", default="light", choices=["light", "small_convnet"])
    parser.add_argument("--backends", default="tensorflow")
    parser.add_argument("--loops", default="fit")
    chosen = parser.parse_args()
    chosen.folder = chosen.folder.resolve()
    make_images(chosen.folder, chosen.images)
    with tempfile.TemporaryDirectory() as directory:
        cwd = Path(directory)
        option = cwd / "configs" / "model" / "light.yaml"
        option.parent.mkdir(parents=True)
        option.write_text("# Light.\n_target_: image_models.light\n", encoding="utf-8")
        PARTS[chosen.part](chosen, cwd)


if __name__ == "__main__":
    main()
