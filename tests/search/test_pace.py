import pytest

from mnistcli.preset.budget import Budget
from mnistcli.records.searches import SearchPlan
from mnistcli.search.history import History, Trial
from mnistcli.search.pace import CONFIRMATION_FRACTION, SPARE, Pace
from mnistcli.search.plan import CONFIRMATIONS
from mnistcli.search.racing import plan_trials
from mnistcli.search.ranking import ALL_IMAGES, Goal, choose_winner, estimate_all
from tests.search.test_racing import make_network, make_trial

GOAL = Goal(Budget())
SPEEDS = (1.0, 2.0, 2.0, 4.0, 30.0)
"""Seconds of an epoch; the faster a network is, the worse."""


def make_pace(within: float | None, epochs: int = 18) -> Pace:
    history = History()
    for number, speed in enumerate(SPEEDS):
        history.add(make_network(number))
        line = make_trial(Trial(number, 0, 0), 0.05 - 0.01 * number)
        history.add(line.model_copy(update={"train_seconds": 2 * speed}))
    plan = SearchPlan(
        name="", space={}, budget=Budget(), sampler="evolution", minimize=None, seed=0,
        trials=None if within else 30, within_seconds=within, round_size=5, device="cpu",
        precision="float32", threads=1, data_folder=None, train_sha256="",
    )  # fmt: skip
    return Pace(plan, history, epochs, 2)


@pytest.mark.parametrize(
    ("within", "epochs", "networks"),
    [(60, 7, {0}), (300, 9, {0, 1, 2, 3}), (900, 18, {0, 1, 2, 3}), (36_000, 18, {0, 1, 2, 3, 4})],
)
def test_promising_networks_can_be_confirmed_in_time(
    within: float, epochs: int, networks: set[int]
) -> None:
    pace = make_pace(within)
    line = pace.decide_rungs()
    assert line
    assert line.max_epoch_seconds
    assert line.epochs[-1] == epochs
    pace.history.add(line)
    found = estimate_all(pace.history, 0, GOAL)
    assert {each.network for each in found if not each.is_too_slow} == networks
    runs = -(-CONFIRMATIONS // pace.slots)
    slowest = line.max_epoch_seconds * epochs * runs * ALL_IMAGES
    assert slowest <= CONFIRMATION_FRACTION * within * SPARE


def test_where_no_network_is_fast_enough_the_fastest_decides() -> None:
    line = make_pace(5).decide_rungs()
    assert line
    assert line.epochs == (2,)
    assert line.max_epoch_seconds == pytest.approx(SPARE * SPEEDS[0])


def test_too_slow_networks_drop_out_and_do_not_win() -> None:
    pace = make_pace(300)
    line = pace.decide_rungs()
    assert line
    pace.history.add(line)
    known = estimate_all(pace.history, 0, GOAL)
    assert [each.network for each in known] == [3, 2, 1, 0, 4]
    assert choose_winner(known, GOAL).network == 3
    assert {trial.network for trial in plan_trials(pace.history, GOAL)} <= {0, 1, 2, 3}


def test_without_a_time_limit_no_network_is_too_slow() -> None:
    pace = make_pace(None)
    line = pace.decide_rungs()
    assert line
    pace.history.add(line)
    assert (line.epochs, line.max_epoch_seconds) == ((2, 6, 18), None)
    assert choose_winner(estimate_all(pace.history, 0, GOAL), GOAL).network == 4
