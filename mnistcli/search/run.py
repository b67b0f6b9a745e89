"""Plan → rounds of trials → the winner, confirmed from fresh seeds."""

from collections.abc import Callable
from shlex import quote

from mnistcli.engine.events import Emit
from mnistcli.errors import FileError
from mnistcli.experiment.workers import Workers
from mnistcli.process import Stopped
from mnistcli.records import files
from mnistcli.records.folders import lock_run
from mnistcli.records.search_log import SearchLog
from mnistcli.records.searches import SearchDocument, SearchProgress
from mnistcli.records.store import LOCK
from mnistcli.search.confirm import confirm
from mnistcli.search.history import replay
from mnistcli.search.plan import Search
from mnistcli.search.race import Race


def run_search(
    search: Search, workers: Workers, show: Callable[[SearchProgress], None], emit: Emit
) -> SearchDocument:
    """Run what is missing of a search, and confirm its winner.

    Args:
        search: what was created or reopened.
        workers: who trains.
        show: told how far the search has come, after every trial.
        emit: told of every epoch and run of the confirmation.

    Raises:
        PresetError: no network fits, or none could be trained.
        FileError: a file cannot be read or written, or another process runs the search.
        Stopped: a signal came; its advice says how to resume.
    """
    advice = f"resume with: mnistcli search --resume {quote(str(search.folder))}"
    with lock_run(search.folder):
        try:
            with SearchLog(search.folder) as log:
                race = Race(search, log, replay(log.lines), show)
                race.run(workers)
                document = confirm(race, workers, emit)
        except Stopped as stopped:
            stopped.advice = advice
            raise
        except FileError as error:
            text = str(error).partition("; resume with")[0].removesuffix(".")
            raise FileError(f"{text}; {advice}") from error
    files.remove(search.folder / LOCK)
    return document
