"""One process of ``dlrun bench``: start, steps, memory and latency of one backend and loop.

``python -m dlrun.proofs.bench_steps JOB.json`` writes ``JOB.answer.json``, anew after each figure:
a process whose time is over leaves what it has measured.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends
from dlrun.assembly.require import require
from dlrun.assembly.start import start
from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.system import process
from dlrun.system.child_job import answer_job, answer_path
from dlrun.system.files import write_json

if TYPE_CHECKING:
    from dlrun.assembly.start import Session
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset
    from dlrun.loops.training import Training

EPOCHS = 1_000_000  # the clock ends training
WINDOWS = 5  # epochs that the seconds are divided into, after one that warms up


class Bench:
    """The job of one process.

    Args:
        job: ``overrides``, ``project``; ``seconds`` to train and to predict;
            ``sizes`` of batches to predict; ``variants``: overrides to train with after that.
        answer: The file for the answer, which is written as it grows: time may run out.
    """

    def __init__(self, job: dict[str, Any], answer: Path) -> None:
        self._job = job
        self._path = answer
        self._answer: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Measure; returns the whole answer.

        Raises:
            DlrunError: If the config can't run here.
        """
        config = self._compose([])
        session = start(config)
        seconds = self._train(config, session)
        steps = statistics.median(seconds)
        self._write(
            step_seconds=steps,
            step_spread=_spread(seconds),
            examples_per_second=config.batch_size / steps,
            peak_memory_bytes=process.peak_memory_bytes(),
            device_memory_bytes=backends.training_module(config.backend.name).peak_device_bytes(),
        )
        self._predict(config, session)
        self._write(variants=[])
        for variant in self._job["variants"]:
            self._try(variant, session)
        return self._answer

    def _compose(self, variant: Sequence[str]) -> Config:
        project = Project.from_json(self._job["project"])
        config = compose([*self._job["overrides"], *variant], project=project)
        require(config, training=True)
        return config

    def _train(self, config: Config, session: Session) -> list[float]:
        """Train without the run's callbacks and validation; returns the seconds of a step."""
        from dlrun.assembly.compile import compile_model
        from dlrun.assembly.loop import build_loop
        from dlrun.assembly.weights import weigh

        model, data = _build(config, session)
        compile_model(model, config, data.spec, length=data.length)
        data = weigh(model, data, config)
        loop = build_loop(config, session.feed)
        started = time.time() - process.started_at()
        if "start_seconds" not in self._answer:
            self._write(start_seconds=started, device=session.device, train_samples=len(data.train))
        # Epochs of one step: the first one compiles, the last one tells how long the others are.
        first = self._measure(loop, model, data, config, 1, epochs=3)
        if "first_step_seconds" not in self._answer:
            self._write(first_step_seconds=first[0])
        seconds = float(self._job["seconds"])
        whole = max(1, len(data.train) // config.batch_size)
        steps = min(whole, max(1, round(seconds / (WINDOWS + 1) / min(first[1:]))))
        if steps == 1 and sum(first[1:]) > seconds:
            return first[1:]  # so slow that they have taken the time
        # The first epoch compiles for its number of steps.
        return self._measure(loop, model, data, config, steps, seconds=seconds)[1:]

    def _measure(
        self,
        loop: Callable[[Training], Any],
        model: Any,
        data: Dataset,
        config: Config,
        steps: int,
        *,
        epochs: int = EPOCHS,
        seconds: float = math.inf,
    ) -> list[float]:
        """Train in epochs of so many steps; returns the seconds of a step in each."""
        from dlrun.data.batches import Batches
        from dlrun.loops.training import Training
        from dlrun.training.hooks.step_clock import StepClock

        split = data.train[: steps * config.batch_size]
        clock = StepClock(steps, seconds)
        loop(
            Training(
                model=model,
                train=Batches(data, split, config.batch_size, seed=config.seed),
                validation=None,
                epochs=epochs,
                seed=config.seed,
                callbacks=[clock],
                backend=backends.training_module(config.backend.name),
            )
        )
        return clock.step_seconds

    def _predict(self, config: Config, session: Session) -> None:
        """The median of a prediction, by the number of samples; each size compiles first."""
        if not self._job["sizes"]:
            return
        from dlrun.callbacks.latency import median_seconds
        from dlrun.data.batches import Batches

        model, data = _build(config, session)
        latency: dict[str, float] = {}
        sizes = [size for size in self._job["sizes"] if size <= len(data.train)]
        for size in sizes:
            inputs = Batches(data, data.train, size)[0][0]
            limit = self._job["seconds"] / 4 / len(sizes)
            latency[str(size)] = median_seconds(model, inputs, limit)
            self._write(latency_seconds=latency)

    def _try(self, variant: Sequence[str], session: Session) -> None:
        try:
            seconds = statistics.median(self._train(self._compose(variant), session))
        except Exception:  # each framework raises its own where it can't compile a model
            return
        measured = {"overrides": list(variant), "step_seconds": seconds}
        self._write(variants=[*self._answer["variants"], measured])

    def _write(self, **figures: Any) -> None:
        self._answer |= figures
        write_json(self._path, self._answer)


def _spread(seconds: Sequence[float]) -> list[float]:
    """The quartiles, between which half of the epochs lie."""
    if len(seconds) == 1:
        return [*seconds, *seconds]
    low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return [low, high]


def _build(config: Config, session: Session) -> tuple[Any, Dataset]:
    """A new model, and the data as it takes them."""
    from dlrun.assembly.check_inputs import match_inputs
    from dlrun.assembly.check_outputs import data_may_change
    from dlrun.assembly.model import build_model

    model, data = build_model(config, session.data.spec), session.data
    return model, data.match(model) if data_may_change(config) else match_inputs(model, data)


if __name__ == "__main__":
    answer_job(lambda job: Bench(job, answer_path(Path(sys.argv[1]))).run())
