"""Studies whose runs are not trained: a function gives their curves."""

from dlrun.sweeps.study import Study

EPOCHS = 9


def open_study(
    space, sampler="random", *, pruner="none", seed=0, mode="min", name="one", path=":memory:"
):
    study = Study(space, sampler, pruner, seed, EPOCHS, [("val_loss", mode)])
    study.open(f"sqlite:///{path}", name)
    return study


def run_trial(study, value, epochs=EPOCHS):
    """Run a trial whose metric is ``value(epoch, **values)``; returns its values and last epoch."""
    number, values = study.ask("run")
    curve = []
    for epoch in range(1, epochs + 1):
        curve.append(value(epoch, **values))
        pruned = study.should_prune(number, epoch, curve[-1]) and epoch < epochs
        if pruned:
            break
    study.tell(number, [min(curve)], pruned=pruned)
    return values, epoch
