"""Check a whole config: trust, limits, arguments, outputs, and the paths of its callbacks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlrun.config import trust
from dlrun.config.limits import broken_limits
from dlrun.config.mistake import Mistake, config_error
from dlrun.config.modes import resolve_modes
from dlrun.config.outputs import wrong_outputs
from dlrun.config.run_config import paths_outside_run, project_hint, untrusted_error
from dlrun.config.schedules import competing_schedules
from dlrun.config.schema import Config
from dlrun.config.signature import feed_not_accepted, wrong_arguments
from dlrun.config.weighting import name_classes, wrong_weighting
from dlrun.errors import DlrunError

LARGEST = "keras.metrics.SparseCategoricalAccuracy"
ONE_OUTPUT = "binary_classification"  # the task
SWAP = "keras.callbacks.SwapEMAWeights"


@dataclass(frozen=True)
class Rules:
    """What to check in a config.

    Args:
        names: The targets and modules that the user trusts.
        recorded: The config was read from a record, which may be a copy.
        training: Whether the run trains, so that its callbacks write.
        typed_keys: In a recorded config, the keys that the user typed.
        unused: Parts that are not instantiated.
        trained_in: Where a recorded run was trained, as it says itself: for hints alone.
    """

    names: trust.TrustedNames
    recorded: bool = False
    training: bool = True
    typed_keys: Sequence[str] = ()
    unused: Sequence[str] = ()
    trained_in: str | None = None


def check_config(config: Config, typed: Mapping[str, str], rules: Rules) -> Iterator[Mistake]:
    """Resolve ``auto`` modes, then yield every mistake in a config.

    Args:
        config: Complete and typed; modes are changed in place.
        typed: The text of each override, by key.
        rules: What to check.

    Raises:
        DlrunError: If it names a component that is not trusted; nothing else is checked then.
    """
    refusals = [
        refusal
        for refusal in trust.check(config, rules.names)
        if refusal.key.partition(".")[0] not in rules.unused
    ]
    if refusals:
        raise _trust_error(refusals, typed, rules)
    resolve_modes(config)
    config.task.class_weight = name_classes(config.task.class_weight)
    for problem in broken_limits(config):
        if not rules.training and problem.key.endswith("monitor"):
            continue  # nothing is monitored
        yield Mistake.of(typed.get(problem.key, problem.key), problem.text, problem.names)
    yield from _wrong_weighting(config, typed)
    yield from _accuracy_of_one_output(config, typed, rules)
    if rules.training:
        problems = feed_not_accepted(config, rules.names.module_dirs)
        for problem in (*problems, *competing_schedules(config)):
            yield Mistake.of(typed.get(problem.key, problem.key), problem.text, problem.names)
        yield from _swaps_without_averages(config, typed)
    if rules.recorded and rules.training:
        for problem in paths_outside_run(config.callbacks):
            if problem.key not in rules.typed_keys:
                yield Mistake(problem.key, problem.text)
    arguments = wrong_arguments(config, rules.names.module_dirs)
    for problem in (*arguments, *wrong_outputs(config.task)):
        if problem.key.partition(".")[0] in rules.unused:
            continue
        line = typed.get(problem.key, problem.key)
        if problem.text.startswith("no module named") and rules.trained_in:
            yield Mistake(line, problem.text, hint=project_hint(rules.trained_in))
        else:
            yield Mistake.of_argument(line, problem.key, problem.text, problem.names)


def _accuracy_of_one_output(
    config: Config, typed: Mapping[str, str], rules: Rules
) -> Iterator[Mistake]:
    """Keras' accuracy of the largest of several outputs is, of one, the share of class 0."""
    # A run that has it is still evaluated.
    if config.choices.get("task") != ONE_OUTPUT or not rules.training or rules.recorded:
        return
    for name, metric in (config.task.metrics or {}).items():
        if isinstance(metric, Mapping) and metric.get("_target_") == LARGEST:
            line = typed.get("metrics", f"task.metrics.{name}")
            problem = f"'{name}' takes the largest of several outputs, and {ONE_OUTPUT} has one"
            yield Mistake(line, problem, hint="metrics=binary_accuracy")


def _swaps_without_averages(config: Config, typed: Mapping[str, str]) -> Iterator[Mistake]:
    """Keras' callback takes the averages of an optimizer, which computes none by default."""
    library = str(config.optimizer.get("_target_")).partition(".")[0]
    if config.optimizer.get("use_ema") or library not in trust.LIBRARIES:  # one's own may always
        return
    for name, spec in config.callbacks.items():
        if isinstance(spec, Mapping) and spec.get("_target_") == SWAP:
            line = typed.get("callbacks", f"callbacks.{name}")
            problem = f"'{name}' takes averages of the weights, and the optimizer computes none"
            yield Mistake(line, problem, hint="+optimizer.use_ema=true")


def _wrong_weighting(config: Config, typed: Mapping[str, str]) -> Iterator[Mistake]:
    for problem in wrong_weighting(config):
        if problem.key in typed:
            yield Mistake.of(typed[problem.key], problem.text, problem.names)
        else:
            yield Mistake.of_argument(problem.key, problem.key, problem.text, problem.names)


def _trust_error(
    refusals: list[trust.Refusal], typed: Mapping[str, str], rules: Rules
) -> DlrunError:
    if rules.recorded and not any(refusal.key in typed for refusal in refusals):
        return untrusted_error(refusals, rules.trained_in)
    error = config_error(
        [
            Mistake(
                typed.get(refusal.key, refusal.key),
                f"{refusal.target} {refusal.problem}".strip(),
                hint=f"--trust {refusal.allow}" if refusal.allow else None,
            )
            for refusal in refusals
        ]
    )
    error.mistakes = ()  # never left out: what is not trusted is refused
    return error
