"""The finished trials of a study, kept one a file until the study has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistcli.errors import FileError, WriteError, reason_of
from mnistcli.records import files
from mnistcli.records.folders import remove_leftovers
from mnistcli.records.store import read_document, write_document
from mnistcli.records.studies import TRIALS, TrialDocument, TrialResult


@dataclass(frozen=True)
class KeptTrials:
    """The trials in the folder of a study."""

    folder: Path
    places: dict[tuple[str, int], str]
    """Name of the file of every arm and seed."""

    @classmethod
    def of(cls, folder: Path, arms: Sequence[str], seeds: Sequence[int]) -> "KeptTrials":
        """Name the file of every trial."""
        places = {
            (arm, seed): f"{number}-s{seed}.json"
            for number, arm in enumerate(arms)
            for seed in seeds
        }
        return cls(folder, places)

    def read(self) -> dict[tuple[str, int], TrialResult]:
        """Return the results that are there.

        Raises:
            FileError: a file is unreadable, or of another trial.
        """
        found = {}
        for place, name in self.places.items():
            if (path := self.folder / TRIALS / name).exists():
                document = read_document(path, TrialDocument, "a trial of a study")
                if (document.arm, document.seed) != place:
                    raise FileError(f'"{path}" is of another trial. Remove it.')
                found[place] = document.result
        return found

    def keep(self, arm: str, seed: int, result: TrialResult) -> None:
        """Write a finished trial, whole or not at all.

        Raises:
            WriteError: it cannot be written.
        """
        path = self.folder / TRIALS / self.places[arm, seed]
        write_document(path, TrialDocument(arm=arm, seed=seed, result=result))

    def open(self) -> None:
        """Make the folder of the trials, or remove what a killed process left half-written.

        Raises:
            WriteError: it cannot be made.
        """
        trials = self.folder / TRIALS
        try:
            files.make_folder(trials, exist_ok=True)
        except OSError as error:
            raise WriteError(f'cannot write "{trials}": {reason_of(error)}') from error
        remove_leftovers(trials)
