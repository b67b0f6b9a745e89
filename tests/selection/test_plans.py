import torch
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.selection.plans import fill_steps


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 100))
def test_a_plan_has_exactly_the_steps_asked_for(images: int, batch: int, steps: int) -> None:
    indices = torch.arange(images) * 2
    generator = torch.Generator().manual_seed(0)
    plan = fill_steps(indices, steps, lambda one: torch.split(one, batch), generator)
    assert sum(len(torch.split(epoch, batch)) for epoch in plan) == steps
    for epoch in plan:
        assert len(epoch.unique()) == len(epoch)
        assert set(epoch.tolist()) <= set(indices.tolist())
    assert all(epoch.equal(indices) for epoch in plan[:-1])
