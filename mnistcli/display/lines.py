"""Training events → lines of text."""

from mnistcli.display.text import count, digit_names, percent, percent_or_dash
from mnistcli.engine.events import (
    EpochFinished,
    NetworkPruned,
    PhaseFinished,
    PhasePlanned,
    RunFinished,
    TrainingResumed,
    TrainingStarted,
)


def epoch_title(plan: TrainingStarted, epoch: int) -> str:
    """Return, for example, "epoch 2/6", or "medium 2/3" where epochs have names."""
    names = plan.epoch_names or ("epoch",)
    return f"{names[min(epoch, len(names)) - 1]} {epoch_number(plan, epoch)}"


def epoch_number(plan: TrainingStarted, epoch: int) -> str:
    """Return, for example, "2/6", or "2" where the time decides how many there are.

    An ensemble's member comes last, as in "2/6 of member 1/5".
    """
    number = f"{epoch}/{len(plan.epoch_steps)}" if plan.seconds is None else str(epoch)
    return f"{number} of member {plan.member}/{plan.members}" if plan.member else number


def epoch_figures(event: EpochFinished) -> dict[str, str]:
    """Return the figures of an epoch by column; "valid" only if there is a validation set."""
    figures = {
        "loss": f"{event.train_loss:.4f}",
        "train": percent(event.train_accuracy),
        "valid": percent_or_dash(event.validation_accuracy),
        "rate": f"{event.learning_rate:.2g}",
        "time": f"{event.seconds:,.1f} s",
    }
    if event.validation_accuracy is None:
        del figures["valid"]
    return figures


def resume_line(event: TrainingResumed) -> str:
    """Return, for example, "resuming after 1 epoch and 640 images", or "resuming member 2 …"."""
    member = f" member {event.member}" if event.member else ""
    images = f" and {count(event.images, 'image')}" if event.images else ""
    return f"resuming{member} after {count(event.epochs, 'epoch')}{images}"


def prune_line(event: NetworkPruned) -> str:
    """Return what a pruning left, as in "pruned: 19,514 → 10,449 parameters, …"."""
    if event.weights is None or event.non_zero_weights is None:
        return (
            f"pruned: {event.parameters_before:,} → {count(event.parameters, 'parameter')}, "
            f"{event.macs_before:,} → {event.macs:,} MACs per image"
        )
    return f"pruned: {event.non_zero_weights:,} of {count(event.weights, 'weight')} are not zero"


def plan_line(event: PhasePlanned) -> str:
    """Describe a phase to come."""
    digits = "all digits" if len(event.digits) == 10 else digit_names(event.digits)
    line = (
        f"{event.name:<8}{digits:<11}{event.images:>7,} images"
        f"{event.steps:>6,} batches of {event.batch_size}"
    )
    if event.left_out:
        line += f", {event.left_out} left out"
    if event.target is None:
        return line
    is_whole = (100 * event.target).is_integer()
    return f"{line}, target {percent(event.target, 0 if is_whole else 2)}"


def phase_line(event: PhaseFinished) -> str:
    """Describe what a phase reached."""
    own, seen = map(percent_or_dash, (event.own_accuracy, event.seen_accuracy))
    line = f"own digits {own}, all digits so far {seen}"
    if event.target is None:
        return line
    word = "PASS" if (event.own_accuracy or 0) >= event.target else "FAIL"
    return f"{line}, target {percent(event.target)}: {word}"


def run_line(event: RunFinished) -> str:
    """Return, for example, "run 3/10  seed 2: 99.41 %"."""
    return f"run {event.done}/{event.total}  {event.name}: {run_result(event)}"


def run_result(event: RunFinished) -> str:
    """Return the accuracy of a run, or "failed"."""
    return "failed" if event.accuracy is None else percent(event.accuracy)
