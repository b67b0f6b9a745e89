"""What two runs differ in, and what cannot be compared."""

import pytest

from mnistcli.errors import UsageError
from mnistcli.records.documents import RunRecord
from mnistcli.verdict.changes import list_image_changes, list_run_changes
from mnistcli.verdict.compare import keep_journal
from mnistcli.verdict.groups import make_groups
from mnistcli.verdict.stats import proportion_difference
from tests.display.samples import make_run

ONE, OTHER = "1" * 64, "2" * 64


def run(seed: int = 0, **images: str) -> RunRecord:
    return make_run(seed, data=make_run().data.model_copy(update=images))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, ()),
        ({"train_sha256": ONE, "source": "a/b"}, {"train_sha256": OTHER, "source": "a/c"},
         ("training images: b → c",)),
        ({"test_sha256": ONE, "source": "b"}, {"test_sha256": OTHER, "source": "c"},
         ("test images: b → c",)),
        ({"test_sha256": ONE, "folder": "/a/b"}, {"test_sha256": OTHER, "folder": "/c/b"},
         ("test images: /a/b → /c/b",)),
        ({"test_sha256": ONE, "folder": "/b"}, {"test_sha256": OTHER, "folder": "/b"},
         ("test images: 11111111 → 22222222",)),
        ({"test_sha256": ONE, "folder": "/b", "evaluated_on": "held-out"},
         {"test_sha256": OTHER, "folder": "/b", "evaluated_on": "held-out"},
         ("held-out images: 11111111 → 22222222",)),
        ({"test_sha256": ONE}, {"test_sha256": OTHER, "evaluated_on": "held-out"},
         ("evaluated on: test → held-out images",)),
    ],
)  # fmt: skip
def test_other_images_are_named(before: dict, after: dict, said: tuple[str, ...]) -> None:
    assert list_image_changes(run(**before), run(**after)) == said


def test_a_journal_says_which_images_every_accuracy_is_of() -> None:
    entries = keep_journal([run(0), run(1, evaluated_on="held-out")]).entries
    assert sorted(entry.evaluated_on for entry in entries) == ["held-out", "test"]


def test_runs_on_different_images_are_not_compared_and_both_are_named() -> None:
    runs = [
        run(test_sha256=ONE, source="a"),
        run(test_sha256=OTHER, source="a", evaluated_on="held-out"),
    ]
    with pytest.raises(UsageError, match=r"different images: a, a \(held-out\)\. Compare"):
        make_groups(runs)


def test_two_proportions_are_compared_as_in_a_textbook() -> None:
    """56 of 70 and 48 of 80: Newcombe 1998, method 1."""
    found = proportion_difference((56 / 70, 48 / 80), (70, 80))
    assert found.mean == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.0575, 0.3425), abs=1e-4)
    assert found.p_value == pytest.approx(0.008, abs=5e-4)


def test_paths_that_begin_alike_are_told_apart_by_their_ends() -> None:
    def start_from(name: str) -> RunRecord:
        preset = make_run().preset
        train = preset.train.model_copy(
            update={"init": f"/home/student/projects/mnist/first/runs/{name}"}
        )
        return make_run(preset=preset.model_copy(update={"train": train}))

    (change,) = list_run_changes(start_from("tiny-1"), start_from("tiny-2"))
    assert change.startswith("train.init: …")
    assert "runs/tiny-1 → …" in change
    assert change.endswith("runs/tiny-2")
