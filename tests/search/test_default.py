"""The bundled space: what its draws cost, and that they can be built and exported."""

import numpy as np
import pytest

from mnistcli.experiment.network import describe_network
from mnistcli.experiment.sizes import count_sizes
from mnistcli.preset.space import load_space
from mnistcli.search.variation import draw, shrink


def count_parameters(preset: object) -> int:
    return sum(layer.parameters for layer in describe_network(preset))  # type: ignore[arg-type]


def test_draws_can_be_built_and_are_of_all_sizes() -> None:
    space, generator = load_space(None), np.random.default_rng(0)
    counts = sorted(count_parameters(draw(space, generator)[1]) for _ in range(50))
    assert counts[3] < 2_000
    assert counts[25] < 10_000
    assert counts[-1] > 25_000


def test_a_network_can_be_shrunk_below_700_parameters() -> None:
    space = load_space(None)
    for seed in range(100):
        generator = np.random.default_rng(seed)
        network = draw(space, generator)
        while smaller := shrink(space, network[0], generator):
            network = smaller
        if count_parameters(network[1]) < 700:
            return
    pytest.fail("no network has so few parameters")


def test_every_layer_has_a_form_in_integers() -> None:
    space, generator = load_space(None, "flash<1000000"), np.random.default_rng(1)
    for _ in range(6):
        sizes = count_sizes(draw(space, generator)[1])
        assert sizes is not None
        assert sizes.fault is None
