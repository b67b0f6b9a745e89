"""Write the ledger: generated tables and the plot, from the presets and the kept figures.

    python -m tests.ledger                        write all tables and the plot
    python -m tests.ledger add MACHINE FILE…      first add runs of bundled presets
    python -m tests.ledger ablation FILE…         first add the runs of one arm of the ablation
    python -m tests.ledger comparison NAME FILE   first add a comparison.json
    python -m tests.ledger time [PRESET…]         first time these (or all), on an idle machine
    python -m tests.ledger steps PRESET SEEDS RUNS  first run missing next steps, studies in RUNS
    python -m tests.ledger precision FILE…        first add runs in both precisions
    python -m tests.ledger study NAME FILE        first add a study of the smallest networks
    python -m tests.ledger searches FILE…         first add searches: search --json, or .jsonl of
                                                  tests.benchmarks.search
    python -m tests.ledger counts MACHINE FILE…   first add counts of the reliability tests

Each FILE is the output of `train --seeds --json`; files of the same preset are combined.
"""

import sys
from itertools import groupby
from pathlib import Path

from mnistcli.cli.several import parse_numbers
from mnistcli.preset.loading import list_presets
from tests.ledger.ablation import add_ablation, rows_of_ablation
from tests.ledger.comparisons import add_comparison, rows_of_coresets, rows_of_orders
from tests.ledger.counts import add_counts, rows_of_counts
from tests.ledger.files import (
    CORESETS_PAGE,
    CURRICULA_PAGE,
    PAGE,
    README,
    RELIABILITY_PAGE,
    SEARCH_PAGE,
    SMALL_PAGE,
    STUDIES,
    read,
    read_runs,
    write_between,
)
from tests.ledger.plot import draw_plot
from tests.ledger.precision import add_precision, rows_of_precision
from tests.ledger.references import add
from tests.ledger.searches import add_searches, rows_of_hours, rows_of_searches
from tests.ledger.small import draw_small, rows_of_bytes, rows_of_smallest
from tests.ledger.steps import rows_of_steps, run_steps
from tests.ledger.studies import add_study, rows_of_study
from tests.ledger.table import rows_of_ledger, rows_of_results
from tests.ledger.timing import time_alone


def keep(arguments: list[str]) -> None:
    """Keep the figures that the command line names."""
    files = [Path(each) for each in arguments[1:]]
    match arguments:
        case []:
            pass
        case ["time", *names]:
            time_alone(names or list_presets())
        case ["add", machine, _, *_]:
            for _, runs in groupby(read_runs(files[1:]), lambda run: run["preset"]["name"]):
                add(list(runs), machine)
        case ["ablation", _, *_]:
            add_ablation(read_runs(files))
        case ["steps", preset, seeds, runs]:
            run_steps(preset, parse_numbers(seeds, "SEEDS"), Path(runs))
        case ["precision", _, *_]:
            add_precision(read_runs(files))
        case ["study", name, file]:
            add_study(name, Path(file))
        case ["searches", _, *_]:
            add_searches(files)
        case ["counts", machine, _, *_]:
            add_counts(machine, files[1:])
        case ["comparison", name, file]:
            add_comparison(name, Path(file))
        case _:
            sys.exit(__doc__)


def main() -> None:
    """Run the command line described above."""
    keep(sys.argv[1:])
    draw_plot()
    draw_small()
    write_between(README, "results", rows_of_results())
    write_between(PAGE, "ledger", rows_of_ledger())
    write_between(PAGE, "ablation", rows_of_ablation())
    write_between(PAGE, "steps", rows_of_steps())
    write_between(PAGE, "precision", rows_of_precision())
    write_between(SEARCH_PAGE, "hours", rows_of_hours())
    if rows := rows_of_searches():
        write_between(SEARCH_PAGE, "searches", rows)
    write_between(SMALL_PAGE, "smallest", rows_of_smallest())
    write_between(SMALL_PAGE, "bytes", rows_of_bytes())
    for name, study in read(STUDIES).items():
        write_between(SMALL_PAGE, f"study {name}", rows_of_study(study))
    write_between(RELIABILITY_PAGE, "counts", rows_of_counts())
    write_between(CORESETS_PAGE, "coresets", rows_of_coresets())
    write_between(CURRICULA_PAGE, "curricula", rows_of_orders())


if __name__ == "__main__":
    main()
