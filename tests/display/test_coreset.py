from mnistcli.display.coreset import comparison_view, coreset_view
from mnistcli.preset.coreset import Coreset
from mnistcli.records.comparisons import (
    CoresetComparison,
    CoresetDocument,
    CoverageResult,
    MethodResult,
)
from tests.display.samples import SPRINT, drawn, make_difference, row


def test_a_selection_has_counts_coverage_and_times() -> None:
    settings = Coreset.model_validate({"size": 12_000, "selector": {"kind": "random"}})
    document = CoresetDocument(
        preset="sprint", seed=3, method="random", size=12_000, total=60_000,
        class_counts=tuple(range(1_195, 1_205)), settings=settings,
        seconds={"principal components": 12.34, "choice": 0.5},
        coverage=CoverageResult(mean=4.5, max=9.25),
        random_coverage=CoverageResult(mean=5.5, max=10.125),
        indices_file="runs/x/indices.npz", indices_sha256="x",
    )  # fmt: skip
    lines = drawn(coreset_view(document))
    assert lines[0] == "sprint · random · 12,000 of 60,000 images (20.0 %) · seed 3"
    assert row(lines, "images") == [f"{count:,}" for count in range(1_195, 1_205)]
    assert " mean 4.500, max 9.250   (random selection: mean 5.500, max 10.125)" in lines
    assert row(lines, "principal components") == ["12.3", "s"]
    assert lines[-1] == " written to runs/x/indices.npz"


def make_result(method: str, size: int, mean: float, **changes: object) -> MethodResult:
    fields = {
        "accuracies": (mean, mean), "mean_accuracy": mean, "sd": 0.0012, "interval": None,
        "selection_seconds": 1_234.5, "train_seconds": 5.0, "difference": None,
    }  # fmt: skip
    return MethodResult.model_validate({"method": method, "size": size} | fields | changes)


def test_methods_stand_below_their_size_the_best_first() -> None:
    results = (
        make_result("random", 600, 0.95),
        make_result("kmeans_spread", 600, 0.96, difference=make_difference(0.01, verdict="better")),
        make_result("random", 3_000, 0.98),
        make_result("entropy", 3_000, 0.97, difference=make_difference()),
    )
    document = CoresetComparison(
        preset=SPRINT, evaluated_on="test", steps=940, seeds=(0, 1), total=60_000, device="cpu",
        precision="float32", threads=1, cpu="AVX2", everything=make_result("all", 60_000, 0.99),
        results=results, path="runs/x",
    )  # fmt: skip
    lines = drawn(comparison_view(document))
    assert lines[0] == "sprint · 940 steps per run · 2 seeds · test accuracy"
    assert lines[1] == " all 60,000 images in as many steps: 99.00 %, sd 0.12"
    starts = ("kmeans_spread", "random", "entropy")
    names = [line.split()[0] for line in lines if line.startswith(starts)]
    assert names == ["kmeans_spread", "random", "random", "entropy"]
    assert row(lines, "kmeans_spread") == [
        "96.00", "0.12", "+1.00", "+0.90", "+1.10", "<0.001", "better", "1,234.5", "s",
    ]  # fmt: skip
    assert row(lines, "random") == ["95.00", "0.12", "1,234.5", "s"]
    assert " 600 images (1.0 %)" in lines
    assert " 3,000 images (5.0 %)" in lines
