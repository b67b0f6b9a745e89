"""The networks of an ensemble: their seeds, those that are trained, and all of them as one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from mnistcli.engine.device import derive_seed
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.network.build import count_parameters
from mnistcli.engine.network.ensemble import Ensemble
from mnistcli.engine.state import LoopState, list_values
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import EpochRecord
from mnistcli.records.members import MemberRecord
from mnistcli.records.states import MemberState

SEEDS = 2**32
"""Members' seeds are below this, so that every reader of JSON keeps them as they are."""


@dataclass(frozen=True)
class Member:
    """A trained network: the only one of a run, or one of its ensemble."""

    seed: int
    model: nn.Module
    history: Sequence[EpochFinished]
    kept_epoch: int | None

    @classmethod
    def of(cls, loop: LoopState, seed: int) -> "Member":
        """Return the network that a finished loop has trained."""
        return cls(seed, loop.learner.result, loop.history, loop.kept_epoch)

    def describe(self) -> MemberRecord:
        """Return what is recorded of it beside its epochs."""
        last = self.history[self.kept_epoch - 1 if self.kept_epoch else -1]
        return MemberRecord(
            seed=self.seed,
            parameters=count_parameters(self.model),
            train_seconds=sum(epoch.seconds for epoch in self.history),
            epochs=len(self.history),
            kept_epoch=self.kept_epoch,
            validation_accuracy=last.validation_accuracy,
        )


def list_seeds(preset: Preset, seed: int) -> tuple[int, ...]:
    """Return the seed of every network: the run's own, and others that follow from it."""
    others = range(2, preset.members + 1)
    return (seed, *(derive_seed(seed, "member", number) % SEEDS for number in others))


def combine(members: Sequence[Member], preset: Preset) -> nn.Module:
    """Return the network of a run: its only one, or all of them as one."""
    models = [member.model for member in members]
    return Ensemble(models) if preset.ensemble else models[0]


def save_members(
    members: Sequence[Member],
) -> tuple[dict[str, Tensor], tuple[MemberState, ...]]:
    """Return the tensors and facts from which `restore_member` makes each member again."""
    tensors = {
        f"{_prefix(number)}{name}": value.detach().cpu().contiguous()
        for number, member in enumerate(members)
        for name, value in list_values(member.model).items()
    }
    states = tuple(
        MemberState(
            history=tuple(EpochRecord(**asdict(epoch)) for epoch in member.history),
            kept_epoch=member.kept_epoch,
        )
        for member in members
    )
    return tensors, states


@torch.no_grad()
def restore_member(
    number: int, seed: int, model: nn.Module, tensors: dict[str, Tensor], saved: MemberState
) -> Member:
    """Return a member as it was saved.

    Args:
        number: its place among the members, from 0.
        seed: its seed.
        model: a network like it, which gets its weights.
        tensors: those of the state; the member's are taken out.
        saved: its facts.

    Raises:
        ValueError: it belongs to another network.
    """
    for name, own in list_values(model).items():
        value = tensors.pop(f"{_prefix(number)}{name}", None)
        if value is None or (value.shape, value.dtype) != (own.shape, own.dtype):
            raise ValueError(f"it belongs to another network: {name} of member {number + 1}")
        own.copy_(value)
    history = [EpochFinished(**epoch.model_dump()) for epoch in saved.history]
    if (saved.kept_epoch or 1) > len(history):
        raise ValueError(f"it belongs to another training: the kept epoch of member {number + 1}")
    return Member(seed, model, history, saved.kept_epoch)


def _prefix(number: int) -> str:
    return f"member.{number}."
