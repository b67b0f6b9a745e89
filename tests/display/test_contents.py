import numpy as np
import pytest
from rich.console import Group

from mnistcli.display.contents import contents_view
from mnistcli.display.halfblocks import draw_small
from mnistcli.preset.schema import Normalization
from mnistcli.records.contents import (
    ContactRow,
    DataDocument,
    DuplicateImage,
    Duplicates,
    LabelCheck,
    LabelErrors,
    NearEmpty,
    SplitContents,
    SuspiciousLabel,
)
from tests.display.samples import drawn, make_images, row

NONE = Duplicates(images=0, other_label=0, examples=())


def make_split(**changes: object) -> SplitContents:
    return SplitContents.model_validate({
        "split": "train", "images": 6_020, "class_counts": (6_000, 20, *[0] * 8),
        "sha256": "a" * 64, "pixel_mean": 0.13, "pixel_sd": 0.308,
        "near_empty": NearEmpty(images=0, examples=()), "duplicates": NONE,
    } | changes)  # fmt: skip


def draw(*splits: SplitContents, **changes: object) -> list[str]:
    document = DataDocument.model_validate({
        "source": "digits", "folder": "/digits", "splits": splits, "test_in_train": None,
        "near_empty_below": 10.0, "normalization": None,
    } | changes)  # fmt: skip
    sheet = [ContactRow("train", digit, 24, make_images(24)) for digit in range(3)]
    images = {split: make_images(50) for split in ("train", "test")}
    view = contents_view(document, sheet, images)
    assert isinstance(view, Group)
    return drawn(view)


def test_a_split_has_counts_and_examples_of_every_digit() -> None:
    lines = draw(make_split())
    assert lines[0] == "digits · 6,020 training images"
    assert f" train SHA-256 {'a' * 64}" in lines
    assert row(lines, "train")[:2] == ["SHA-256", "a" * 64]
    titles = [line for line in lines if line.strip() in {"2"} or line.split() == ["0", "1"]]
    assert len(titles) == 2, "two digits side by side"
    assert sum("█" in line for line in lines) >= 8
    assert not any("normaliz" in line or "suspicious" in line for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("counts", "shown"), [(24_000, "24,000"), (100_000, "100000")])
def test_large_counts_fit_80_columns(counts: int, shown: str) -> None:
    lines = draw(make_split(images=10 * counts, class_counts=(counts,) * 10))
    (cells,) = [line.split() for line in lines if line.startswith("train ") and shown in line]
    assert cells == ["train", *[shown] * 10]


def test_what_was_found_has_indices() -> None:
    copies = Duplicates(
        images=6,
        other_label=1,
        examples=tuple(
            DuplicateImage(index=10 + n, label=n, same_as=5, same_as_label=max(n, 1))
            for n in range(6)
        ),
    )
    empty = NearEmpty(images=6, examples=tuple(range(6)))
    test = make_split(split="test", near_empty=empty)
    lines = draw(make_split(duplicates=copies), test, test_in_train=copies)
    text = "\n".join(lines).replace("\n   ", " ")
    assert lines[0] == "digits · 6,020 training and 6,020 test images"
    listed = "#10 = {0}5 (0, 1), #11 = {0}5, #12 = {0}5, #13 = {0}5, #14 = {0}5 and 1 more"
    assert f" identical in train: {listed.format('#')}\n" in text
    assert f" identical in test: {listed.format('train #')}" in text
    assert " near-empty in test: #0, #1, #2, #3, #4 and 1 more" in lines
    assert text.count("with another label") == 2


def test_another_normalization_is_written_as_it_is_set() -> None:
    lines = draw(make_split(), normalization=Normalization(mean=0.286, std=0.353))
    (line,) = [line for line in lines if "--set" in line]
    assert line.split() == [
        "--set", "normalization.mean=0.286", "--set", "normalization.std=0.353"
    ]  # fmt: skip


def test_the_most_suspicious_labels_are_drawn() -> None:
    suspects = tuple(
        SuspiciousLabel(index=n, label=4, predicted=9, confidence=0.987, margin=0.9)
        for n in range(4)
    )
    errors = LabelErrors(estimated=4.2, accuracy=0.98, suspicious=suspects)
    none = LabelErrors(estimated=0.2, accuracy=0.98, suspicious=())
    check = LabelCheck(preset="dash", folds=3, seed=0, seconds=3.14)
    splits = (make_split(label_errors=errors), make_split(split="test", label_errors=none))
    lines = draw(*splits, label_check=check)
    assert row(lines, "suspicious")[1:] == ["4", "0"]
    place = lines.index(" worst of 4 suspicious labels in train (label → prediction, confidence)")
    assert lines[place + 1].split("  ")[0].strip() == "#0: 4 → 9 (99 %)"
    assert "#2: 4 → 9 (99 %)" in lines[place + 1]
    assert "#3" not in lines[place + 1]
    assert not any("in test" in line for line in lines)
    assert lines[-1].endswith("3.1 s")


def test_small_drawings_keep_the_shape() -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[2:14] = 255
    lines = draw_small([image, image], ["a", "b"]).split("\n")
    assert lines[0].split() == ["a", "b"]
    assert lines[1:4] == [" " + " ".join(["█" * 12] * 2)] * 3
    assert not "".join(lines[4:]).strip()
