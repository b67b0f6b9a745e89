"""The ledger: what every bundled preset gave here, beside what was claimed.

    python -m tests.ledger                      README's table and plot anew, from the presets
    python -m tests.ledger add MACHINE FILE…    first takes over what `train --seeds --json` printed

    python -m tests.ledger time                 first times every preset; nothing else should run

Each FILE's runs become the preset's [reference] and its rows in tests/ledger.json.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import mean, median
from tempfile import mkdtemp

from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import list_presets, load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import ClaimAudit, Summary
from mnistcli.verdict.stats import deviation

ROOT = Path(__file__).parent.parent
RUNS, README, PLOT = ROOT / "tests" / "ledger.json", ROOT / "README.md", ROOT / "presets/ledger.svg"
BEGIN, END = "<!-- ledger: python -m tests.ledger -->\n", "<!-- end of the ledger -->"
SIGNS = {"holds": "holds", "does not hold": "**does not hold**", "not decided": "not decided"}


def add(path: Path, machine: str) -> None:
    """Writes a preset's [reference] and the rows that it is traced to."""
    document = json.loads(path.read_text())
    runs = document["runs"]
    name, first = runs[0]["preset"]["name"], runs[0]
    seeds = [run["seed"] for run in runs]
    kind = "curriculum" if first["phases"] else "train"
    spoken = f"{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    command = f"mnistcli {kind} {name} --seeds {spoken} --threads {first['threads']}"
    rows = [
        {
            "seed": run["seed"],
            "correct": run["test"]["correct"],
            "test_loss": run["test"]["loss"],
            "train_accuracy": run["epochs"][-1]["train_accuracy"],
            "train_loss": run["epochs"][-1]["train_loss"],
            "train_seconds": run["train_seconds"],
            "weights_sha256": run["weights_sha256"],
            "record_sha256": hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest(),
        }
        for run in runs
    ]
    accuracies = [run["test"]["accuracy"] for run in runs]
    losses, shares, train_losses = (
        [row[figure] for row in rows] for figure in ("test_loss", "train_accuracy", "train_loss")
    )
    built = summarize(load_preset(name))
    lines = [
        "[reference]",
        f'command = "{command}"',
        f"seeds = {seeds}",
        f"parameters = {built.parameters:_}",
        f"macs = {built.macs:_}",
        f"mean_test_accuracy = {mean(accuracies):.6f}",
        f"sd_test_accuracy = {deviation(accuracies):.6f}",
        f"test_accuracies = {accuracies}",
        f"test_losses = {[round(loss, 5) for loss in losses]}",
        f"train_accuracies = {[round(share, 5) for share in shares]}",
        f"train_losses = {[round(loss, 5) for loss in train_losses]}",
        f"median_train_seconds = {median(row['train_seconds'] for row in rows):.1f}",
        f'machine = "{machine}; {first["precision"]}, {first["threads"]} thread'
        f'{"" if first["threads"] == 1 else "s"}"',
        f'version = "{first["versions"]["mnistcli"]}"',
        f'date = "{first["started"][:10]}"',
    ]
    preset = ROOT / "presets" / f"{name}.toml"
    text = preset.read_text().partition("\n[reference]\n")[0].rstrip()
    preset.write_text(text + "\n\n" + "\n".join(lines) + "\n")
    ledger = json.loads(RUNS.read_text()) if RUNS.exists() else {}
    ledger[name] = {"command": command, "versions": first["versions"], "runs": rows}
    RUNS.write_text(json.dumps(dict(sorted(ledger.items())), indent=1) + "\n")


def time_alone() -> None:
    """Puts what a training takes, with two threads, into every [reference].

    Of the long ones one epoch is timed, the second of two, and taken as often as there are epochs.
    """
    for name in list_presets():
        preset = load_preset(name)
        if preset.reference is None:
            continue
        is_long = preset.curriculum is None and preset.train.epochs > 4
        shorter = ("--set", "train.epochs=2") if is_long else ()
        command = [
            sys.executable, "-m", "mnistcli", *preset.reference.command.split()[1:3], *shorter,
            "--threads", "2", "--no-fail", "--json", "-q", "--out", mkdtemp(),
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        epochs = [epoch["seconds"] for epoch in json.loads(done.stdout)["epochs"]]
        seconds = preset.train.epochs * epochs[-1] if is_long else sum(epochs)
        path = ROOT / "presets" / f"{name}.toml"
        text = re.sub(r"seconds_alone = .*\n", "", path.read_text())
        text = re.sub(
            r"(\nmedian_train_seconds = .*\n)", rf"\g<1>seconds_alone = {seconds:.1f}\n", text
        )
        path.write_text(text)
        print(f"{name:<40}{seconds:>10.1f} s", file=sys.stderr)


def rows_of_readme() -> str:
    """The table between the README's two marks, and the picture."""
    head = (
        "| preset | parameters | claimed | test accuracy, % | claimed | time | verdict |",
        "|---|---|---|---|---|---|---|",
    )
    rows = [_row(load_preset(name)) for name in list_presets() if load_preset(name).reference]
    picture = (
        "![Wrong answers, in per cent, over the parameters of every preset](presets/ledger.svg)\n"
    )
    return "\n".join([*head, *rows]) + f"\n\n{picture}"


def _row(preset: Preset) -> str:
    reference, summary = preset.reference, summarize(preset)
    assert reference
    accuracy = f"{100 * reference.mean_test_accuracy:.2f} ± {100 * reference.sd_test_accuracy:.2f}"
    cells = [
        f"`{preset.name}`",
        f"{summary.parameters:,}",
        " / ".join(f"{audit.claimed:,}" for audit in _audits(summary, "parameters")),
        f"{accuracy} ({len(reference.seeds)})",
        " / ".join(f"{100 * audit.claimed:.2f}" for audit in _audits(summary, "test_accuracy")),
        f"{reference.seconds_alone:,.0f} s" if reference.seconds_alone else "",
        verdict_of(summary),
    ]
    return f"| {' | '.join(cells)} |"


def _audits(summary: Summary, figure: str) -> list[ClaimAudit]:
    return [audit for audit in summary.published if audit.figure == figure]


def verdict_of(summary: Summary) -> str:
    """Of every claim on parameters and test accuracy."""
    words = []
    for figure, name in (("parameters", "parameters"), ("test_accuracy", "accuracy")):
        for audit in _audits(summary, figure):
            claimed = (
                f"{audit.claimed:,}" if figure == "parameters" else f"{100 * audit.claimed:g} %"
            )
            words.append(f"{name} {claimed} {SIGNS[audit.verdict]}")
    return "; ".join(words)


def points_of_plot() -> list[tuple[str, int, float, float]]:
    """Name, parameters, mean accuracy and sd of every preset that was measured."""
    presets = [load_preset(name) for name in list_presets()]
    return [
        (one.name, one.reference.parameters, one.reference.mean_test_accuracy,
         one.reference.sd_test_accuracy)
        for one in presets if one.reference
    ]  # fmt: skip


def fingerprint(points: list[tuple[str, int, float, float]]) -> str:
    """Of what the plot shows, kept in it: another matplotlib draws other bytes."""
    return hashlib.sha256(json.dumps(points).encode()).hexdigest()


def draw_plot() -> None:
    """Parameters on a logarithmic scale, and the share that is wrong, likewise."""
    import matplotlib
    from matplotlib.figure import Figure

    points = points_of_plot()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ledger", "font.size": 9}):
        figure = Figure(figsize=(8, 5), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        for number, (name, parameters, accuracy, spread) in enumerate(points):
            axes.errorbar(
                parameters, 100 * (1 - accuracy), 100 * spread, marker="osDv^<>pPX*hd"[number % 13],
                color=f"C{number % 10}", linestyle="", capsize=2, label=name,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.axvline(20_000, color="grey", linewidth=0.7, linestyle=":")
        axes.axhline(0.6, color="grey", linewidth=0.7, linestyle=":")
        axes.set_yticks([0.5, 0.6, 1, 2, 5, 10, 50, 90], ["0.5", "0.6", *"1 2 5 10 50 90".split()])
        axes.minorticks_off()
        axes.set_xticks([20_000, 100_000, 400_000], ["20,000", "100,000", "400,000"])
        axes.set_xlabel("parameters")
        axes.set_ylabel("wrong on the test images, %")
        axes.legend(fontsize=7, loc="upper right")
        metadata = {"Date": None, "Creator": None, "Description": fingerprint(points)}
        figure.savefig(PLOT, format="svg", metadata=metadata)


def write_readme() -> None:
    """Puts the table between the marks."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + rows_of_readme() + END + after)


def main() -> None:
    """As the module's text says."""
    if sys.argv[1:2] == ["time"]:
        time_alone()
    if sys.argv[1:2] == ["add"]:
        for file in sys.argv[3:]:
            add(Path(file), sys.argv[2])
    draw_plot()
    write_readme()
    print(re.search(f"{BEGIN}(.*?){END}", README.read_text(), re.DOTALL)[1])


if __name__ == "__main__":
    main()
