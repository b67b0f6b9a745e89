"""The presets of a search's networks: for counting, for trials, and for the confirmation."""

from dataclasses import dataclass
from functools import cached_property

from mnistcli.datasets.load import load_examples
from mnistcli.preset.budget import Budget
from mnistcli.preset.budget_text import format_budget
from mnistcli.preset.schema import Preset
from mnistcli.records.searches import Decisions
from mnistcli.search.fit import Counted, count
from mnistcli.search.history import History
from mnistcli.search.plan import Search, require_plain_training
from mnistcli.search.winner import describe_search


@dataclass(frozen=True)
class Networks:
    """The networks of a search, as its log has their decisions."""

    search: Search
    epochs: int
    """Max number of epochs of a training."""

    @cached_property
    def train_images(self) -> int:
        """Number of training images that there are."""
        return len(load_examples("train", self.search.options.data))

    def count(self, preset: Preset) -> Counted:
        """Count the figures of a network, with the search's budget.

        Raises:
            PresetError: it cannot be built.
        """
        require_plain_training(preset)
        preset = _with_epochs(preset, self.epochs)
        preset = preset.model_copy(update={"budget": self.search.plan.budget})
        return count(preset, self.search.plan.minimize, self.train_images)

    def make_trial(self, decisions: Decisions, number: int, epochs: int) -> Preset:
        """Return what a trial trains, without a budget to check."""
        name = f"{self.search.plan.name}-{number}"
        preset = _with_epochs(self._resolve(decisions), epochs)
        return preset.model_copy(update={"name": name, "budget": Budget()})

    def make_winner(self, history: History, number: int, epochs: int) -> Preset:
        """Return what is confirmed: with the search's budget, and how it was found."""
        plan = self.search.plan
        update = {
            "name": f"{plan.name}-{number}",
            "title": f"Found by a search for {format_budget(plan.budget)}",
            "source": describe_search(plan, history.count_tried(), history.elapsed),
            "budget": plan.budget,
        }
        preset = _with_epochs(self._resolve(history.networks[number].decisions), epochs)
        return preset.model_copy(update=update)

    def _resolve(self, decisions: Decisions) -> Preset:
        """Return a network that is trained; its code, allowed with the space, stays allowed."""
        preset = self.search.space.rebuild(decisions)
        code = preset.model.code
        return preset.with_code(code.trust(is_named=code.is_trusted)) if code else preset


def _with_epochs(preset: Preset, epochs: int) -> Preset:
    train = preset.train.model_copy(update={"epochs": epochs})
    return preset.model_copy(update={"train": train})
