"""What is shown of a run before its training starts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnistcli.display.live_budget import RunHeader
    from mnistcli.experiment.training.setup import TrainingSetup


def make_header(setup: "TrainingSetup") -> "RunHeader":
    """Collect what the live view shows of a run before its training starts."""
    from mnistcli.display.live_budget import RunHeader

    data = setup.data
    total = len(data.train) + len(data.validation or ())
    return RunHeader(
        budget=setup.preset.budget,
        parameters=setup.network.parameters,
        macs=setup.network.macs,
        images=setup.images,
        train_fraction=setup.images / total,
        folder=setup.folder,
        sizes=setup.sizes,
    )


def headline(setup: "TrainingSetup") -> str:
    """Describe what is about to be trained, where, and whether its size fails the budget."""
    from mnistcli.display.text import count, of_dataset, time_limit

    preset, machine, code = setup.preset, setup.machine, setup.preset.model.code
    train = preset.train
    limit = train.within_seconds
    networks = f"{preset.members} networks · " if preset.ensemble else ""
    lines = [
        f"{preset.name} · {networks}{count(setup.network.parameters, 'parameter')} · "
        f"{count(setup.images, 'image')}{of_dataset(setup.data.source.dataset)} · "
        f"{time_limit(limit) if limit else count(preset.epochs, 'epoch')} · seed {setup.seed}",
        *([preset.title] if code else []),
        f"on {machine.device.type} in {machine.precision_name} "
        f"with {count(machine.threads, 'thread')}",
    ]
    if setup.exceeded:
        words = {"parameters": "parameter", "macs": "MACs", "ram": "RAM"}
        limits = " and ".join(words.get(name, name) for name in setup.exceeded)
        lines.append(f"the network exceeds its {limits} budget")
    return "\n".join(lines)
