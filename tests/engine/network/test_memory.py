import pytest

from mnistcli.engine.network.build import describe_model
from mnistcli.engine.network.memory import count_values
from tests.engine.network.nested import make

CONV = {"kind": "conv", "out_channels": 4, "kernel_size": 3}
STEM = CONV | {"stride": 2}
HEAD = [{"kind": "flatten"}, {"kind": "linear", "out_features": 10}]
IMAGE, INNER = 28 * 28, 4 * 14 * 14


@pytest.mark.parametrize(
    ("body", "forward", "outputs"),
    [
        ([], IMAGE + INNER, INNER),
        ([CONV, {"kind": "relu"}], 2 * INNER, 3 * INNER),
        # The residual keeps its input while its layers run, and then there is the sum.
        ([{"kind": "residual", "layers": [CONV]}], 3 * INNER, 3 * INNER),
        ([{"kind": "residual", "layers": [CONV, CONV]}], 3 * INNER, 4 * INNER),
        (
            [{"kind": "residual", "layers": [{"kind": "residual", "layers": [CONV]}]}],
            4 * INNER,
            4 * INNER,
        ),
        ([{"kind": "repeat", "times": 3, "layers": [CONV]}], 2 * INNER, 4 * INNER),
        ([{"kind": "residual", "layers": [CONV]}, CONV], 3 * INNER, 4 * INNER),
    ],
)
def test_memory_is_what_is_held_at_once(body: list[dict], forward: int, outputs: int) -> None:
    rows = describe_model(make([STEM, *body, *HEAD]))
    assert count_values(rows) == (forward, outputs + INNER + 10)
