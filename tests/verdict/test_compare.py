import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as reference

from mnistcli.datasets.embedded import MNIST_SHA256
from mnistcli.errors import UsageError
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import RunRecord
from mnistcli.verdict.changes import list_changes
from mnistcli.verdict.compare import compare_members, keep_journal

SPRINT = load_preset("sprint")
LONGER = load_preset("sprint", ["train.epochs=9"])


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """A record as `train` would write it, with an accuracy that is given."""

    def record(preset: Preset, seed: int, accuracy: float, **changes: object) -> RunRecord:
        correct = round(10_000 * accuracy)
        fields = {
            "run_id": f"{preset.name}-{seed}", "path": "x",
            "started": f"2026-01-01T00:00:{seed:02}", "preset": preset, "seed": seed,
            "device": "cpu", "precision": "float32", "threads": 1, "versions": {},
            "data": {"source": "x", "train_sha256": "a", "test_sha256": MNIST_SHA256["test"]},
            "parameters": 19_514, "macs": 376_064, "train_examples": 60_000,
            "train_fraction": 1.0, "validation_examples": 0, "coreset": None, "epochs": (),
            "passes": 4, "phases": (), "phases_evaluated_on": None, "train_seconds": 5.0,
            "weights_sha256": f"{seed} {accuracy} {changes}", "peak_memory": None,
            "profile": None, "checks": (), "passed": True,
            "test": {
                "accuracy": accuracy, "correct": correct, "total": 10_000, "loss": 0.1,
                "interval": (0.0, 1.0),
            },
        }  # fmt: skip
        return RunRecord.model_validate(fields | changes)

    return record


def runs(make: Callable, preset: Preset, values: list[float], first: int = 0) -> list[RunRecord]:
    return [make(preset, seed, value) for seed, value in enumerate(values, start=first)]


ONE = [0.9941, 0.9944, 0.9939, 0.9946, 0.9942]
OTHER = [0.9948, 0.9949, 0.9945, 0.9953, 0.9947]


def test_the_same_seeds_are_paired_and_others_are_not(make: Callable) -> None:
    paired = compare_members([*runs(make, SPRINT, ONE), *runs(make, LONGER, OTHER)])
    (found,) = paired.differences
    assert found.test == "paired t"
    assert found.p_value == pytest.approx(reference.ttest_rel(OTHER, ONE).pvalue)
    assert found.verdict == "improved"
    apart = compare_members([*runs(make, SPRINT, ONE), *runs(make, LONGER, OTHER, first=50)])
    (found,) = apart.differences
    assert found.test == "Welch t"
    wanted = reference.ttest_ind(OTHER, ONE, equal_var=False)
    assert found.p_value == pytest.approx(wanted.pvalue)
    interval = wanted.confidence_interval(0.95)
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_groups_are_presets_and_their_names_say_what_is_different(make: Callable) -> None:
    found = compare_members([*runs(make, SPRINT, ONE), make(LONGER, 0, 0.995)])
    assert [group.name for group in found.groups] == ["sprint", "sprint (train.epochs: 4 → 9)"]
    assert [len(group.seeds) for group in found.groups] == [5, 1]
    assert found.baseline == "sprint"
    assert found.differences[0].test == "two proportions"


def test_a_reference_stands_for_its_preset(make: Callable) -> None:
    found = compare_members([SPRINT, *runs(make, LONGER, ONE)])
    group = found.groups[0]
    assert group.source == "reference"
    assert group.mean_accuracy == SPRINT.reference.mean_test_accuracy
    assert found.differences[0].test == "Welch t"
    with pytest.raises(UsageError, match="no \\[reference\\]"):
        compare_members([load_preset("proxy")])


def test_runs_on_other_images_are_not_compared(make: Callable) -> None:
    other = {"source": "x", "train_sha256": "a", "test_sha256": "other"}
    with pytest.raises(UsageError, match="different images"):
        compare_members([make(SPRINT, 0, 0.99), make(SPRINT, 1, 0.99, data=other)])


def test_the_front_has_what_none_dominates(make: Callable) -> None:
    small = make(load_preset("onebyone"), 0, 0.99, parameters=100)
    large = make(load_preset("dualblock"), 0, 0.995, parameters=300)
    worse = make(load_preset("sevenconv"), 0, 0.98, parameters=200)
    found = compare_members([small, large, worse])
    assert [group.pareto for group in found.groups] == [True, True, False]


@pytest.mark.parametrize(("drop", "least", "most"), [(0.0, 0.0, 0.05), (0.003, 0.95, 1.0)])
def test_noise_is_told_from_a_regression(
    make: Callable, drop: float, least: float, most: float
) -> None:
    """Ten seeds each, with the spread that sprint has: 0.06 points."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        one, other = rng.normal(0.9942, 0.0006, (2, 10))
        found = compare_members(
            [*runs(make, SPRINT, list(one)), *runs(make, LONGER, list(other - drop))]
        )
        alarms += found.differences[0].verdict == "worse"
    assert least <= alarms / 200 <= most


def test_claims_are_held_against_the_runs(make: Callable) -> None:
    preset = load_preset("sevenconv")
    values = [0.9940, 0.9943, 0.9941, 0.9939]
    (group,) = compare_members(runs(make, preset, values)).groups
    by_figure = {audit.figure: audit for audit in group.claims}
    assert by_figure["parameters"].built == 19_514
    assert by_figure["parameters"].verdict == "refuted"
    assert by_figure["test_accuracy"].measured == pytest.approx(sum(values) / 4)
    assert by_figure["test_accuracy"].p_value == pytest.approx(
        reference.ttest_1samp(values, 0.9951, alternative="less").pvalue
    )
    assert by_figure["epoch_seconds"].verdict == "not measured"


def test_runs_on_images_that_a_file_names_are_another_group(make: Callable) -> None:
    preset = load_preset("sevenconv")
    coreset = {
        "settings": None, "size": 600, "total": 60_000, "class_counts": [60] * 10,
        "seconds": {}, "indices_sha256": "d", "indices_file": "indices.npz",
    }  # fmt: skip
    chosen = [
        make(preset, seed, 0.98, coreset=coreset, train_examples=600, run_id=f"chosen-{seed}")
        for seed in range(3)
    ]
    whole, part = compare_members([*runs(make, preset, [0.994] * 3), *chosen]).groups
    assert part.name == "sevenconv (600 images from file d)"
    assert (whole.seeds, part.seeds) == ((0, 1, 2), (0, 1, 2))
    assert whole.claims
    assert part.claims == ()


def test_the_same_training_again_is_no_further_evidence(make: Callable) -> None:
    twice = [
        make(preset, seed, value, weights_sha256=f"{preset.train.epochs} {seed}", run_id=f"{again}")
        for preset, values in ((SPRINT, ONE[:2]), (LONGER, OTHER[:2]))
        for seed, value in enumerate(values)
        for again in range(3)
    ]
    comparison = compare_members(twice)
    assert [group.seeds for group in comparison.groups] == [(0, 1), (0, 1)]
    once = compare_members([*runs(make, SPRINT, ONE[:2]), *runs(make, LONGER, OTHER[:2])])
    assert comparison.differences[0].p_value == once.differences[0].p_value


def test_equal_differences_have_the_spread_of_the_test_images(make: Callable) -> None:
    one, other = [0.9940, 0.9940], [0.9941, 0.9941]
    comparison = compare_members([*runs(make, SPRINT, one), *runs(make, LONGER, other)])
    (found,) = comparison.differences
    assert (found.test, found.verdict) == ("two proportions", "no clear difference")


def test_a_name_stands_for_one_group(make: Callable) -> None:
    renamed = SPRINT.model_copy(update={"source": "elsewhere"})
    members = [*runs(make, SPRINT, ONE), *runs(make, renamed, OTHER), SPRINT, renamed, SPRINT]
    groups = compare_members(members).groups
    assert [group.name for group in groups] == [
        "sprint", "sprint #2", "sprint [reference]", "sprint [reference] #2",
    ]  # fmt: skip


def test_precision_and_device_are_part_of_what_is_compared(make: Callable) -> None:
    other = [make(SPRINT, seed, 0.99, precision="bfloat16", threads=2) for seed in range(2)]
    groups = compare_members([*runs(make, SPRINT, ONE), *other]).groups
    assert [group.name for group in groups] == [
        "sprint", "sprint (precision: float32 → bfloat16)",
    ]  # fmt: skip


def test_what_is_known_of_mnist_says_nothing_of_other_images(make: Callable) -> None:
    data = {"source": "x", "train_sha256": "a", "test_sha256": "another"}
    preset = load_preset("sevenconv")
    fashion = [make(preset, seed, value, data=data) for seed, value in enumerate(ONE)]
    assert compare_members(fashion).groups[0].claims == ()
    with pytest.raises(UsageError, match="other test images"):
        compare_members([preset, *fashion])


def test_a_journal_says_what_changed(make: Callable) -> None:
    entries = keep_journal([make(LONGER, 2, 0.995), make(SPRINT, 1, 0.99), SPRINT]).entries
    assert [entry.seed for entry in entries] == [1, 2]
    assert entries[0].change is None
    assert entries[1].change == pytest.approx(0.005)
    assert entries[1].changes == ("train.epochs: 4 → 9", "seed: 1 → 2")


def data(source: str, train: str, test: str, folder: str | None = None) -> dict:
    return {"source": source, "folder": folder, "train_sha256": train, "test_sha256": test}


def test_a_journal_names_changes_of_data_and_subtracts_nothing_across_test_images(
    make: Callable,
) -> None:
    zeros, ones, twos = (digit * 64 for digit in "012")
    images = [
        data("digits", zeros, zeros),
        data("/some/where/few", ones, zeros),
        data("few", ones, zeros, "/moved/few"),
        data("letters", twos, ones, "/a/letters"),
        data("letters", ones, zeros, "/b/letters"),
        data("letters", zeros, zeros, "/b/letters"),
    ]
    found = [make(SPRINT, seed, 0.9 + seed / 100, data=one) for seed, one in enumerate(images)]
    entries = keep_journal(reversed(found)).entries
    assert [entry.changes for entry in entries] == [
        (),
        ("seed: 0 → 1", "training images: digits → few"),
        ("seed: 1 → 2",),
        ("seed: 2 → 3", "training images: few → letters", "test images: few → letters"),
        (
            "seed: 3 → 4", "training images: /a/letters → /b/letters",
            "test images: /a/letters → /b/letters",
        ),
        ("seed: 4 → 5", "training images: 11111111 → 00000000"),
    ]  # fmt: skip
    changes = [entry.change for entry in entries]
    assert [change is None for change in changes] == [True, False, False, True, True, False]
    assert changes[1] == pytest.approx(0.01)


@pytest.mark.parametrize("change", [{"device": "mps"}, {"precision": "bfloat16"}, {"threads": 2}])
def test_a_journal_names_every_setting(make: Callable, change: dict) -> None:
    later = {"started": "2026-02-01T00:00:00", "run_id": "later"}
    journal = keep_journal([make(SPRINT, 0, 0.9), make(SPRINT, 0, 0.9, **later, **change)])
    ((name, value),) = change.items()
    (line,) = journal.entries[1].changes
    assert line.startswith(f"{name}: ")
    assert line.endswith(f" → {value}")


def test_a_journal_names_indices_from_a_file(make: Callable) -> None:
    coreset = {
        "settings": None, "size": 2, "total": 600, "class_counts": (2, *[0] * 9), "seconds": {},
        "indices_sha256": "c0ffee" * 10, "indices_file": "indices.npz",
    }  # fmt: skip
    journal = keep_journal([make(SPRINT, 0, 0.9), make(SPRINT, 1, 0.9, coreset=coreset)])
    assert journal.entries[1].changes == ("seed: 0 → 1", "coreset file: none → c0ffeec0")


def test_changes_are_told_field_by_field() -> None:
    other = load_preset(
        "sprint",
        [
            "train.optimizer={kind='sgd', learning_rate=0.1}", "augment.0.degrees=9",
            "model.layers=[{kind='flatten'}, {kind='linear', out_features=10}]",
        ],
    )  # fmt: skip
    assert list_changes(SPRINT, other) == (
        "model.layers: 12 entries → flatten, linear",
        "augment.0.degrees: 6.0 → 9.0",
        "train.optimizer: muon → sgd",
    )
    plain, flipped = (
        load_preset("sprint", [f"augment={augment}"])
        for augment in ("[]", "[{kind='affine'}, {kind='horizontal_flip'}]")
    )
    assert list_changes(plain, flipped) == ("augment: none → affine, horizontal_flip",)
    assert list_changes(SPRINT, SPRINT) == ()
    assert json.dumps(list_changes(SPRINT, LONGER))
