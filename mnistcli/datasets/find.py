"""Folder or file → the data set that is there, recognized by the names of its files."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mnistcli.datasets.contents import check_path, describe_file, join_some, list_folder, list_some
from mnistcli.datasets.npz import ARRAYS, list_arrays
from mnistcli.errors import FileError, reason_of
from mnistcli.preset.choices import Split

WANTED = (
    "Name a folder of IDX files, of train.csv and test.csv, or of pictures in train/0 to test/9, "
    "or an .npz file; see `mnistcli guide data`."
)
LEVELS = 4
"""Levels of folders that are searched, with the one that was named."""
FOLDER_LIMIT = 1_000
"""Folders that are searched on one level."""

Kind = Literal["idx", "csv", "npz", "classes"]
What = Literal["images", "labels", "examples"]
"""Content of a file; examples are images with labels."""
Role = tuple[Split, What]
NAMES: dict[Split, str] = {"train": "training", "test": "test"}

_BEGINNING = r"(?P<name>(?:.*[-_. ])?)"
IDX = re.compile(
    _BEGINNING + r"(?P<split>train|t10k|test)(?:ing)?[-_. ]?(?P<what>image|label)s?"
    r"(?:[-_. ]?(?:idx\d?|ubyte|int|data))*(?:\.gz)?",
    re.IGNORECASE,
)
CSV = re.compile(
    _BEGINNING + r"(?P<split>train|test)(?:ing)?(?:[-_. ].*)?\.csv(?:\.gz)?", re.IGNORECASE
)
CLASSES = re.compile(r"(?P<split>train|test)(?:ing)?[-_ ]?(?:set|images|data)?", re.IGNORECASE)
"""A folder with a folder of pictures for each class."""


@dataclass(frozen=True)
class DataSet:
    """Files of one data set, in one format."""

    place: Path
    """Path that was named, for messages."""
    kind: Kind
    name: str = ""
    """Beginning of the names of its files, as in "emnist-digits"."""
    files: dict[Role, list[Path]] = field(default_factory=dict)
    """Files by content; several if it is not clear which."""

    def get(self, split: Split, what: What = "examples") -> Path:
        """Return the file, or the folder, with this content.

        Raises:
            FileError: there is none, or more than one.
        """
        found = self.files.get((split, what), [])
        if len(found) == 1:
            return found[0]
        wanted = f"{NAMES[split]} {what}"
        if found:
            names = self.list_files(found)
            raise FileError(f'"{self.place}" has {wanted} in several files: {names}. Keep one.')
        others = self.list_files([path for paths in self.files.values() for path in paths])
        raise FileError(f'"{self.place}" has no {wanted}, only {others}. {WANTED}')

    def list_splits(self) -> list[Split]:
        """Return the splits that it has files of."""
        return [split for split in NAMES if any(role[0] == split for role in self.files)]

    def list_files(self, paths: list[Path]) -> str:
        """Return the names of the first of some files."""
        top = self.place if self.place.is_dir() else self.place.parent
        return join_some(list(dict.fromkeys(os.path.relpath(path, top) for path in paths)))


def find_data(path: Path) -> DataSet:
    """Return the data set in a folder, in folders below it, or that a file is part of.

    Raises:
        FileError: there is none, or more than one.
    """
    check_path(path, WANTED)
    try:
        found = _search(path) if path.is_dir() else _find_around(path)
        if not found:
            what = f"has no data set. {list_some(path)}" if path.is_dir() else _describe(path)
            raise FileError(f'"{path}" {what} {WANTED}')
    except OSError as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    if len(found) > 1:
        names = found[0].list_files([next(iter(each.files.values()))[0] for each in found])
        raise FileError(
            f'"{path}" has several data sets: {names}. Name the folder or a file of one.'
        )
    return found[0]


def _describe(path: Path) -> str:
    kind = describe_file(path) or "a file of another kind"
    unclear = ", and its name does not begin or end with train or test" * kind.endswith("CSV table")
    return f"is {kind}{unclear}."


def _search(top: Path) -> list[DataSet]:
    """Return the data sets on the first level of folders that has any."""
    level = [top]
    for _ in range(LEVELS):
        found = [each for folder in level for each in _scan(folder, top).values()]
        if found:
            return found
        level = [path for folder in level for path in _list(folder)[1]][:FOLDER_LIMIT]
    return []


def _find_around(path: Path) -> list[DataSet]:
    """Return the data set that a file is part of; the file itself comes before its likes."""
    if (describe_file(path) or "").startswith("a ZIP"):
        return [DataSet(path, "npz", files={(split, "examples"): [path] for split in NAMES})]
    is_nested = IDX.fullmatch(path.name) and IDX.fullmatch(path.parent.name)
    folder = path.parent.parent if is_nested else path.parent
    sets = _scan(folder, path)
    for kind, name, role, found in _recognize(folder):
        if found == path:
            data = sets[kind, name]
            data.files[role] = [path]
            return [data]
    return []


def _scan(folder: Path, place: Path) -> dict[tuple[Kind, str], DataSet]:
    """Return the data sets whose files are in a folder, by kind and name."""
    sets: dict[tuple[Kind, str], DataSet] = {}
    for kind, name, role, path in _recognize(folder):
        data = sets.setdefault((kind, name), DataSet(place, kind, name))
        known = data.files.setdefault(role, [])
        if _bare_name(path) not in map(_bare_name, known):
            known.append(path)
    return sets


def _recognize(folder: Path) -> Iterator[tuple[Kind, str, Role, Path]]:
    """Yield kind and name of the data set, content, and path of what a folder has."""
    files, folders = _list(folder)
    # In archives of Kaggle, every IDX file is in a folder of the same name.
    inner = [path for each in folders if IDX.fullmatch(each.name) for path in _list(each)[0]]
    for path in files + inner:
        if match := IDX.fullmatch(path.name):
            what: What = "images" if match["what"].lower() == "image" else "labels"
            yield "idx", _clean(match["name"]), (_split(match), what), path
        elif match := CSV.fullmatch(path.name):
            yield "csv", _clean(match["name"]), (_split(match), "examples"), path
        elif path.suffix.lower() == ".npz" and not ARRAYS.isdisjoint(list_arrays(path)):
            yield from (("npz", path.stem, (split, "examples"), path) for split in NAMES)
    for each in folders:
        if (match := CLASSES.fullmatch(each.name)) and (place := _find_classes(each)):
            yield "classes", "", (_split(match), "examples"), place


def _find_classes(folder: Path) -> Path | None:
    """Return the folder with the folders of classes, which may be in one of the same kind."""
    inside = _list(folder)[1]
    if len(inside) == 1 and CLASSES.fullmatch(inside[0].name):
        folder, inside = inside[0], _list(inside[0])[1]
    # Other classes than digits are found too, to be named.
    are_classes = any(len(each.name) == 1 or each.name.isdecimal() for each in inside)
    return folder if are_classes else None


def _split(match: re.Match[str]) -> Split:
    return "train" if match["split"].lower() == "train" else "test"


def _clean(name: str) -> str:
    return name.strip("-_. ").lower()


def _bare_name(path: Path) -> str:
    """Return a name by which copies are known: compressed, or with dots for hyphens."""
    return re.sub("[-_. ]", "-", path.name.lower().removesuffix(".gz"))


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files and the folders in a folder; none if it cannot be read."""
    try:
        return list_folder(folder)
    except OSError:
        return [], []
