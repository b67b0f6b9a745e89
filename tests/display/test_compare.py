import csv
import io

from mnistcli.display.compare import as_csv, as_markdown, comparison_view, journal_view
from mnistcli.records.comparisons import Comparison, Group, GroupDifference, Journal, JournalEntry
from tests.display.samples import drawn, make_claim, row


def make_group(name: str, **changes: object) -> Group:
    fields = {
        "source": "runs", "runs": ("a", "b"), "seeds": (0, 1), "parameters": 19_514,
        "macs": 376_064, "train_examples": 60_000, "test_images": 10_000,
        "accuracies": (0.994, 0.995), "mean_accuracy": 0.9945, "sd": 0.0007,
        "interval": (0.9881, 0.9999), "train_seconds": 1_023.4, "claims": (), "pareto": True,
    }  # fmt: skip
    return Group.model_validate({"name": name} | fields | changes)


def make_comparison(*groups: Group) -> Comparison:
    differences = [
        GroupDifference(
            name=group.name, difference=-0.0123, interval=(-0.02, -0.01), p_value=0.001,
            adjusted_p_value=0.002, test="two proportions", verdict="worse",
        )
        for group in groups[1:]
    ]  # fmt: skip
    return Comparison(groups=groups, baseline=groups[0].name, differences=tuple(differences))


BASE = make_group("sprint")
SMALL = make_group(
    "optimizednet-curriculum-published [reference]", source="reference", parameters=7_000,
    mean_accuracy=0.98, train_examples=None, claims=(make_claim(), make_claim(claimed=0.9)),
)  # fmt: skip


def test_groups_differences_and_claims_have_a_table_each() -> None:
    lines = drawn(comparison_view(make_comparison(BASE, SMALL)))
    assert row(lines, "sprint") == ["2", "19,514", "99.45", "0.07", "98.81–99.99", "1,023", "s"]
    text = "\n".join(lines)
    assert "against sprint" in text
    assert "-1.23" in text
    assert "two proportions" in text
    assert text.count("refuted") == 2
    assert " * figures of the preset's [reference]" in lines
    assert "one-sided t-test" in text


def test_the_plot_puts_the_smallest_left_and_the_best_on_top() -> None:
    worse = make_group("worse", parameters=30_000, mean_accuracy=0.97, pareto=False)
    lines = drawn(comparison_view(make_comparison(BASE, SMALL, worse)))
    plot = [line for line in lines if "|" in line]
    assert plot[0].startswith("  99.45 % |")
    assert plot[0].endswith("a")
    assert plot[-1].startswith("  97.00 % |")
    assert plot[-1].endswith("c")
    assert sum("b" in line.split("|")[1][:2] for line in plot) == 1
    assert " c  worse" in lines
    assert " a* sprint" in lines


def test_groups_of_one_size_are_not_plotted_and_one_run_has_no_spread() -> None:
    one = make_group("one", seeds=(0,), runs=("a",), interval=None)
    lines = drawn(comparison_view(make_comparison(one, BASE)))
    assert not [line for line in lines if "|" in line]
    assert row(lines, "one") == ["1", "19,514", "99.45", "1,023", "s"]


def test_csv_has_a_row_a_group_in_per_cent() -> None:
    first, second = csv.DictReader(io.StringIO(as_csv(make_comparison(BASE, SMALL))))
    assert (first["preset"], first["accuracy"], first["difference"]) == ("sprint", "99.45", "")
    assert (second["difference"], second["p"], second["images"]) == ("-1.23", "0.002", "")
    assert second["accuracy published"] == "99.50"
    assert second["claim"] == "refuted"


def test_markdown_has_the_same_and_every_claim() -> None:
    bar = make_group("a|b", claims=(make_claim(),))
    groups, claims = as_markdown(make_comparison(BASE, bar)).split("\n\n")
    assert len({line.count("|") for line in groups.splitlines()}) == 1
    assert (
        "| a&#124;b | test accuracy | 99.50 % | 99.42 % | 0.05 | refuted | one-sample t | 0.010 |"
        in claims
    )


def test_a_journal_has_a_row_a_run_with_what_changed() -> None:
    entries = [
        JournalEntry(
            run_id="x", started=f"2026-01-01T10:0{number}:00", preset="sprint", seed=number,
            parameters=1, accuracy=0.99 - number / 100, change=change, changes=changes,
        )
        for number, (change, changes) in enumerate(
            [(None, ()), (-0.01, ("train.epochs: 4 → 5", "seed: 0 → 1")), (-0.01, ())]
        )
    ]  # fmt: skip
    lines = drawn(journal_view(Journal(entries=tuple(entries))))
    assert lines[2].split() == ["2026-01-01", "10:00", "sprint", "99.00", "%"]
    assert lines[3].split()[-5:] == ["-1.00", "train.epochs:", "4", "→", "5"]
    assert lines[4].strip() == "seed: 0 → 1"
    assert lines[5].split()[-1] == "nothing"


def test_pruned_weights_have_a_column_of_their_own() -> None:
    pruned = make_group("pruned", non_zero_weights=9_000)
    lines = drawn(comparison_view(make_comparison(BASE, pruned)))
    assert row(lines, "pruned")[:3] == ["2", "19,514", "9,000"]
    rows = list(csv.DictReader(io.StringIO(as_csv(make_comparison(BASE, pruned)))))
    assert [each["non-zero weights"] for each in rows] == ["", "9000"]
    assert rows[1]["parameters"] == "19514"
    head = as_markdown(make_comparison(BASE, pruned)).splitlines()[0]
    assert head.endswith("| verdict | non-zero weights |")
    assert "non-zero" not in as_csv(make_comparison(BASE, SMALL))


def test_no_group_is_drawn_over_another() -> None:
    groups = [make_group(f"group {number}") for number in range(5)]
    groups += [make_group("other", parameters=5_000, mean_accuracy=0.9)]
    lines = drawn(comparison_view(make_comparison(*groups)))
    plot = "".join(line.partition("|")[2] for line in lines if "|" in line)
    assert sorted(plot.replace(" ", "")) == [*"abcdef"]
