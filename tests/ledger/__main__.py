"""The ledger, written anew.

    python -m tests.ledger                        README's tables and plot, from the presets
    python -m tests.ledger add MACHINE FILE…      first takes over runs of bundled presets
    python -m tests.ledger ablation FILE…         first takes over runs of one arm of the ablation
    python -m tests.ledger comparison NAME FILE   first takes over a comparison.json
    python -m tests.ledger time                   first times every preset; nothing else should run

Each FILE is what `train --seeds --json` printed; files of the same preset go together.
"""

import sys
from itertools import groupby
from pathlib import Path

from tests.ledger.ablation import add_ablation, rows_of_ablation
from tests.ledger.comparisons import add_comparison, rows_of_coresets, rows_of_orders
from tests.ledger.files import read_runs, write_between
from tests.ledger.plot import draw_plot
from tests.ledger.references import add
from tests.ledger.table import rows_of_readme
from tests.ledger.timing import time_alone


def main() -> None:
    """As the module's text says."""
    match sys.argv[1:]:
        case []:
            pass
        case ["time"]:
            time_alone()
        case ["add", machine, *files] if files:
            for _, runs in groupby(read_runs(map(Path, files)), lambda run: run["preset"]["name"]):
                add(list(runs), machine)
        case ["ablation", *files] if files:
            add_ablation(read_runs(map(Path, files)))
        case ["comparison", name, file]:
            add_comparison(name, Path(file))
        case _:
            sys.exit(__doc__)
    draw_plot()
    write_between("ledger", rows_of_readme())
    write_between("ablation", rows_of_ablation())
    write_between("coresets", rows_of_coresets())
    write_between("curricula", rows_of_orders())


if __name__ == "__main__":
    main()
