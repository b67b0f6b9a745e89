from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistcli.preset.budget import Budget
from mnistcli.records.searches import NetworkLine, TrialLine
from mnistcli.search.history import History, Trial
from mnistcli.search.racing import TURNS, drop_worse, plan_rungs, plan_trials
from mnistcli.search.ranking import Goal, choose_winner, estimate_all, find_front

ACCURATE = Goal(Budget(min_test_accuracy=0.99))
SMALL = Goal(Budget(min_test_accuracy=0.99), "parameters")
GOALS = st.sampled_from([ACCURATE, SMALL])


def make_network(number: int, round_: int = 0, parameters: int = 100) -> NetworkLine:
    return NetworkLine(
        number=number, round=round_, decisions={"x": number}, origin="random", rejected=0,
        figures={"parameters": parameters, "macs": 1_000},
    )  # fmt: skip


def make_trial(
    trial: Trial, loss: float | None, round_: int = 0, seconds: float = 1.0
) -> TrialLine:
    return TrialLine(
        network=trial.network, rung=trial.rung, turn=trial.turn, round=round_, loss=loss,
        accuracy=None if loss is None else 1 - loss / 3, train_seconds=seconds,
        failed="it diverged" if loss is None else None, elapsed=1.0,
    )  # fmt: skip


def make_loss(trial: Trial, qualities: list[float]) -> float | None:
    """Return a loss that depends on the trial alone, as of a training; None of one that fails."""
    quality = qualities[trial.network]
    if quality > 0.9:
        return None
    noise = Random(f"{trial}").gauss(0, 0.08)
    return 0.02 * (1 + 4 * quality) * (1.5 - 0.2 * trial.rung) * 2.718**noise


def race(qualities: list[float], size: int, goal: Goal, order: Random, at_once: int) -> History:
    """Run all rounds, with trials that end in any order."""
    history = History(rungs=(2, 6, 18))
    for place in range(0, len(qualities), size):
        for number in range(place, min(place + size, len(qualities))):
            history.add(make_network(number, place // size, 100 + 7 * number % 50))
        running: list[Trial] = []
        while True:
            is_last = place + size >= len(qualities)
            planned = plan_trials(history, goal, is_last=is_last)
            wanted = [each for each in planned if each not in running]
            running += wanted[: at_once - len(running)]
            if not running:
                break
            trial = running.pop(order.randrange(len(running)))
            history.add(make_trial(trial, make_loss(trial, qualities), place // size))
    return history


QUALITIES = st.lists(st.floats(0, 1), min_size=2, max_size=12)


@settings(max_examples=25)
@given(QUALITIES, st.integers(2, 8), GOALS, st.integers(0, 99))
def test_the_same_trials_are_run_in_whatever_order_they_end(
    qualities: list[float], size: int, goal: Goal, seed: int
) -> None:
    alone = race(qualities, size, goal, Random(0), 1)
    many = race(qualities, size, goal, Random(seed), 5)
    assert alone.trials == many.trials


def test_while_the_last_trial_of_a_rung_runs_sure_networks_begin_with_the_next() -> None:
    history = History(rungs=(2, 6, 18))
    for number in range(6):
        history.add(make_network(number))
    for number, loss in enumerate([0.05, 0.02, 0.04, 0.03, 0.06]):
        history.add(make_trial(Trial(number, 0, 0), loss))
    missing = Trial(5, 0, 0)
    assert plan_trials(history, ACCURATE) == [missing, Trial(1, 1, 0), Trial(3, 1, 0)]
    assert plan_trials(history, SMALL) == [missing]


@settings(max_examples=25)
@given(QUALITIES, st.integers(2, 8))
def test_rounds_drop_at_most_half_and_never_the_best(qualities: list[float], size: int) -> None:
    goal = ACCURATE
    history = race(qualities, size, goal, Random(1), 1)
    for number in range(1 + max(each.round for each in history.networks)):
        alive = [each.number for each in history.of_round(number)]
        for rung in range(3):
            results = {
                each: [line.loss for line in history.list_trials(each, rung)[:1]] for each in alive
            }
            worked = [each for each in alive if results[each]]
            kept = drop_worse(history, number, alive, rung, goal)
            assert set(kept) <= set(worked)
            assert len(kept) >= len(worked) / 2
            if worked:
                assert min(worked, key=lambda each: results[each]) in kept
            alive = kept


def test_random_networks_get_no_more_seeds_if_better_ones_may_follow() -> None:
    history = History(rungs=(2,))
    history.add(make_network(0))
    history.add(make_trial(Trial(0, 0, 0), 0.02))
    assert plan_trials(history, ACCURATE) == []
    assert plan_trials(history, ACCURATE, is_last=True) == [Trial(0, 0, 1)]


def test_networks_that_are_clearly_worse_are_dropped() -> None:
    history = History(rungs=(2, 6, 18))
    for number, loss in enumerate([0.10, 0.101, 0.2, 0.4, 0.8, 1.0]):
        history.add(make_network(number))
        history.add(make_trial(Trial(number, 0, 0), loss))
    assert drop_worse(history, 0, range(6), 0, ACCURATE) == [0, 1, 2]
    assert plan_trials(history, ACCURATE) == [Trial(each, 1, 0) for each in (0, 1, 2)]


def test_nothing_is_dropped_for_a_network_that_is_too_slow() -> None:
    history = History(rungs=(2, 6, 18), max_epoch_seconds=1.0)
    for number, loss in enumerate([0.05, 0.080, 0.081, 0.082, 0.5]):
        history.add(make_network(number))
        history.add(make_trial(Trial(number, 0, 0), loss, seconds=1.0 if number else 9.0))
    assert drop_worse(history, 0, range(5), 0, ACCURATE) == [1, 2, 3]


def test_a_new_network_gets_a_seed_that_the_best_ones_have_had() -> None:
    history = History(rungs=(2,))
    for number, losses in enumerate([(0.0200,) * 3, (0.0201,) * 3, (0.0197,)]):
        history.add(make_network(number, round_=number // 2))
        for turn, loss in enumerate(losses):
            history.add(make_trial(Trial(number, 0, turn), loss, round_=number // 2))
    assert plan_trials(history, ACCURATE) == [Trial(2, 0, 1)]
    history.add(make_trial(Trial(2, 0, 1), 0.0197, round_=1))
    assert plan_trials(history, ACCURATE) == [Trial(2, 0, 2)]
    history.add(make_trial(Trial(2, 0, 2), 0.0197, round_=1))
    assert plan_trials(history, ACCURATE) == []


def test_a_smaller_network_is_not_dropped_for_a_larger_one_that_is_better() -> None:
    history = History(rungs=(2, 6, 18))
    for number, (loss, parameters) in enumerate([(0.1, 500), (0.3, 100), (0.3, 600)]):
        history.add(make_network(number, parameters=parameters))
        history.add(make_trial(Trial(number, 0, 0), loss))
    assert set(drop_worse(history, 0, range(3), 0, SMALL)) == {0, 1}


@settings(max_examples=25)
@given(QUALITIES)
def test_the_best_networks_get_more_seeds(qualities: list[float]) -> None:
    history = race(qualities, 20, ACCURATE, Random(2), 1)
    found = estimate_all(history, 2, ACCURATE)
    if found:
        first = min(found, key=lambda each: history.list_trials(each.network, 2)[0].loss or 1)
        assert first.n == TURNS
        assert {trial.turn for trial in history.trials if trial.rung < 2} == {0}


@pytest.mark.parametrize("epochs", range(1, 40))
def test_the_first_rung_is_the_same_for_a_shorter_training(epochs: int) -> None:
    """It is trained before the number of epochs is decided."""
    first = plan_rungs(40)[0]
    assert plan_rungs(max(epochs, first))[0] == first


@given(st.integers(1, 300))
def test_rungs_rise_to_the_whole_training(epochs: int) -> None:
    rungs = plan_rungs(epochs)
    assert list(rungs) == sorted(set(rungs))
    assert rungs[-1] == epochs
    assert len(rungs) <= 3


@pytest.mark.parametrize(
    ("goal", "winner"), [(ACCURATE, 0), (SMALL, 1)], ids=["accuracy", "parameters"]
)
def test_the_winner_is_the_most_accurate_or_the_smallest_that_is_accurate_enough(
    goal: Goal, winner: int
) -> None:
    history = History(rungs=(18,))
    for number, (loss, parameters) in enumerate([(0.01, 500), (0.02, 200), (0.1, 100)]):
        history.add(make_network(number, parameters=parameters))
        for turn in range(3):
            history.add(make_trial(Trial(number, 0, turn), loss))
    estimates = estimate_all(history, 0, goal)
    assert choose_winner(estimates, goal).network == winner
    assert [each.network for each in find_front(estimates)] == [2, 1, 0]


def test_a_lucky_trial_does_not_win_over_three_good_ones() -> None:
    history = History(rungs=(18,))
    for number, losses in enumerate([(0.0205,) * 3, (0.02,)]):
        history.add(make_network(number))
        for turn, loss in enumerate(losses):
            history.add(make_trial(Trial(number, 0, turn), loss))
    assert estimate_all(history, 0, ACCURATE)[0].network == 0
