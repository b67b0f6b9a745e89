"""Distillation: which trained networks a network learns from, beside the labels."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mnistcli.preset.values import PathText, StrictModel

RUNS_LIMIT = 100


class Teacher(StrictModel):
    """Trained networks whose mean answer to every augmented image is learned from.

    The loss of an image is (1 - weight) · cross entropy with its label + weight · temperature² ·
    KL(teacher's probabilities ‖ network's), both at the temperature. Source: Hinton et al. 2015,
    "Distilling the knowledge in a neural network", section 2.
    """

    runs: Annotated[tuple[PathText, ...], Field(max_length=RUNS_LIMIT)] = ()
    """Run folders of the teachers; of several, the mean of the probabilities is used."""
    preset: PathText | None = None
    """Instead of runs: name or file of a preset whose networks are trained as teachers first."""
    seeds: Annotated[int, Field(ge=1, le=RUNS_LIMIT)] = 1
    """Number of networks of that preset, from seed 0 on."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 4.0
    weight: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Weight of the teachers' answers; the labels have the rest."""

    @model_validator(mode="after")
    def _runs_or_preset(self) -> Self:
        if bool(self.runs) == (self.preset is not None):
            raise ValueError("name either runs or a preset to train as teachers")
        if len(set(self.runs)) < len(self.runs):
            raise ValueError("a run is named twice. Name each once.")
        if self.runs and self.seeds != 1:
            raise ValueError("seeds is the number of networks of a preset. Leave it out.")
        return self
