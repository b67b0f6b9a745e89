"""Studies behind the smallest networks: kept accuracies, and the tables of their guide."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.ledger.arms import table_of_arms
from tests.ledger.files import STUDIES, read, write


def add_study(name: str, path: Path) -> None:
    """Keep what every arm reached with every seed, and the hash of the study's document."""
    content = path.read_bytes()
    document = json.loads(content)
    arms = [document["base"], *document["arms"]]
    seeds = [
        {
            "seed": seed,
            "arms": {
                arm["name"]: {
                    "accuracy": arm["accuracies"][place],
                    "seconds": arm["train_seconds"],
                    "parameters": arm["parameters"],
                }
                for arm in arms
            },
        }
        for place, seed in enumerate(document["seeds"])
    ]
    machine = {key: document[key] for key in ("device", "precision", "threads", "cpu")}
    entry = machine | {
        "evaluated_on": document["evaluated_on"],
        "evaluated_images": document["evaluated_images"],
        "preset": document["preset"],
        "overrides": {arm["name"]: arm["overrides"] for arm in arms},
        "document_sha256": hashlib.sha256(content).hexdigest(),
        "seeds": seeds,
    }
    write(STUDIES, read(STUDIES) | {name: entry})


def rows_of_study(entry: dict[str, Any]) -> str:
    """Return the table of a kept study, the base first; an arm is called by its name."""
    titles = {name: name for name in entry["overrides"]}
    return table_of_arms("arm", entry["evaluated_on"], titles, entry["seeds"])
