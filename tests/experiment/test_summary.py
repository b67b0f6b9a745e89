import pytest

from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import load_preset


def test_costs_are_those_counted_by_hand() -> None:
    """1 × 28 × 28 → 4 × 14 × 14 → 784 → 10."""
    layers = (
        "model.layers=[{kind='conv', out_channels=4, kernel_size=3, stride=2},"
        "{kind='relu'}, {kind='flatten'}, {kind='linear', out_features=10}]"
    )
    summary = summarize(load_preset("sprint", [layers]))
    assert [layer.parameters for layer in summary.layers] == [4 * 9 + 4, 0, 0, 784 * 10 + 10]
    assert [layer.macs for layer in summary.layers] == [4 * 9 * 14 * 14, 0, 0, 784 * 10]
    assert [layer.receptive_field for layer in summary.layers] == [3, 3, 29, 29]
    assert summary.memory.parameters == 4 * summary.parameters == 4 * (40 + 7_850)
    # The convolution holds the image and its output at once, ReLU and flatten twice 784 values.
    assert summary.memory.forward == 4 * (784 + 784)
    assert summary.memory.backward == 4 * 2 * (3 * 784 + 10)


@pytest.mark.parametrize(("below", "passed"), [(19_514, False), (19_515, True)])
def test_only_what_can_be_counted_is_checked(below: int, passed: bool) -> None:
    budget = f"budget={{parameters_below={below}, max_epochs=1, min_test_accuracy=1.0}}"
    summary = summarize(load_preset("sprint", [budget]))
    assert [check.name for check in summary.checks] == ["parameters"]
    assert summary.passed is passed
