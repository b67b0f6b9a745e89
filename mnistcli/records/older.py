"""Read what mnistcli 0.1 wrote: run records of schema version 1."""

import json
from pathlib import Path
from typing import Any

from mnistcli.errors import FileError

EMBEDDED = "MNIST (embedded)"

Json = dict[str, Any]


def update(content: bytes, path: Path) -> bytes:
    """Return a run record of version 1 as one of version 2, and any other document unchanged.

    Raises:
        FileError: the document is the start of an unfinished run of version 1.
    """
    if b"mnistcli.run/1" not in content and b"mnistcli.start/1" not in content:
        return content
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content  # whoever validates it says what is wrong
    match document:
        case {"schema": "mnistcli.run/1"}:
            return json.dumps(_update_run(document)).encode()
        case {"schema": "mnistcli.start/1"}:
            raise FileError(
                f'cannot resume "{path.parent}": it was started by mnistcli 0.1. Train it again '
                "with `mnistcli train`."
            )
    return content


def _update_run(run: Json) -> Json:
    """Rename the fields that version 2 renamed, and tell the data's folder from its name."""
    run = {**run, "schema": "mnistcli.run/2"}
    _rename(run, "phases_judged_on", "phases_evaluated_on")
    if isinstance(profile := run.get("profile"), dict):
        run["profile"] = _rename(profile, "share_of_ceiling", "fraction_of_ceiling")
    data = run.get("data")
    if isinstance(data, dict) and data.get("source") != EMBEDDED:
        run["data"] = {**data, "folder": data.get("source")}
    return run


def _rename(fields: Json, old: str, new: str) -> Json:
    if old in fields:
        fields[new] = fields.pop(old)
    return fields
