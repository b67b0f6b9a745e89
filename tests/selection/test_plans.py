import torch
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.engine.loop import Recipe
from mnistcli.preset.schema import Normalization
from mnistcli.selection.plans import fill_steps


def recipe(batch: int, *, drop_last: bool) -> Recipe:
    plain = Normalization()
    return Recipe(batch, drop_last, 0.0, None, plain, lambda x, g: x, torch.float32, 0)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 100), st.booleans())
def test_a_plan_has_exactly_the_steps_asked_for(
    images: int, batch: int, steps: int, drop_last: bool
) -> None:
    indices = torch.arange(images) * 2
    how = recipe(batch, drop_last=drop_last)
    plan = fill_steps(indices, steps, how, torch.Generator().manual_seed(0))
    epochs = [plan.choose(epoch, None) for epoch in range(1, len(plan.sizes) + 1)]
    assert [len(epoch) for epoch in epochs] == plan.sizes
    assert sum(len(how.batches(epoch)) for epoch in epochs) == steps
    assert sum(map(how.count_steps, plan.sizes)) == steps
    for epoch in epochs:
        assert len(epoch.unique()) == len(epoch)
        assert set(epoch.tolist()) <= set(indices.tolist())
    assert all(epoch.equal(indices) for epoch in epochs[:-1])
