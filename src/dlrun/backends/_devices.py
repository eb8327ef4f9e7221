"""Which devices a process computes on: one, or as many as a run is spread over."""

from __future__ import annotations

from collections.abc import Sequence

from dlrun.backends._modules import distribution_of, module, names
from dlrun.backends._spread import Spread
from dlrun.errors import DlrunError, first_line
from dlrun.system import ranks
from dlrun.system.gpus import visible_gpus


def require_devices(name: str, spread: Spread, *, kind: str) -> None:
    """Check that a backend can spread a run over devices, without importing a framework.

    Args:
        name: The backend.
        spread: How.
        kind: The kind of the devices.

    Raises:
        DlrunError: If it can't, or there are not as many.
    """
    ways, key = module(name).DISTRIBUTES, f"distribution={spread.kind}"
    if spread.kind not in ways:
        others = [n for n in names() if spread.kind in module(n).DISTRIBUTES]
        raise DlrunError(
            f"{key}: backend '{name}' " + (f"has {', '.join(ways)}" if ways else "uses one device"),
            hint=(f"backend={others[0]}, or " if others else "")
            + "distribution=none device.count=1",
        )
    gpus = [f"gpu:{index}" for index, _ in enumerate(visible_gpus())]
    if kind == "gpu" and gpus and len(gpus) < spread.devices:
        raise _too_few(spread, gpus)


def choose_device(name: str, kind: str, index: int | None, spread: Spread | None) -> str:
    """Let a backend compute on a device from now on; its framework is imported, but not Keras.

    Args:
        name: The backend.
        kind: auto, cpu, gpu or tpu.
        index: Index among the devices of that kind; None for the first.
        spread: How the run is spread over devices; None for one.

    Returns:
        The device, as ``kind:index``.

    Raises:
        DlrunError: If there is no such device, or the process can't change its device any more.
    """
    backend, own = module(name), _own_device(name, spread)
    devices = backend.devices()
    if kind == "auto" and own is None:
        return devices[0]
    kind = devices[0].partition(":")[0] if kind == "auto" else kind
    if own is not None and kind != "cpu":
        index = own
    device = f"{kind}:{index or 0}"
    if device not in devices:
        requested = kind if index is None else device
        raise DlrunError(
            f"no device '{requested}': backend '{name}' has {', '.join(devices)}",
            hint=f"choose device={devices[0].removesuffix(':0')}, or device=auto",
        )
    try:
        backend.use_device(device)
    except RuntimeError as error:  # from TensorFlow, once it has computed
        raise DlrunError(
            f"device={device}: {name} can't change its device any more: {first_line(error)}",
            hint="use a new process",
        ) from error
    return device


def devices_of(name: str, spread: Spread, first: str) -> list[str]:
    """The devices of this process, over which it spreads a run.

    Args:
        name: The backend.
        spread: How.
        first: The device in use.

    Raises:
        DlrunError: If there are not as many.
    """
    kind = first.partition(":")[0]
    if ranks.started_outside() or (distribution_of(name).PROCESSES and kind == "cpu"):
        return [first]
    there = distribution_of(name).available(kind, spread)
    if len(there) < spread.devices:
        raise _too_few(spread, there)
    return there[: spread.devices]


def _own_device(name: str, spread: Spread | None) -> int | None:
    """The index of this process' own accelerator, if each of the run's processes has one."""
    group = ranks.current()
    return group.local_rank if spread and group and distribution_of(name).PROCESSES else None


def _too_few(spread: Spread, there: Sequence[str]) -> DlrunError:
    return DlrunError(
        f"device.count={spread.devices}: there {'is' if len(there) == 1 else 'are'}"
        f" {', '.join(there)}",
        hint=f"device.count={len(there)}"
        if not there[0].startswith("cpu")
        else "use a new process: the CPU is split when its first run starts",
    )
