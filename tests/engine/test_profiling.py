from pathlib import Path

from mnistcli.datasets.load import load_examples
from mnistcli.engine.device import make_generator
from mnistcli.engine.network.build import build_model
from mnistcli.engine.profiling import measure_inference
from mnistcli.preset.loading import load_preset


def test_a_batch_is_faster_than_its_images_one_by_one(tiny_data: Path, tiny_preset: Path) -> None:
    preset = load_preset(str(tiny_preset))
    model = build_model(preset.model.layers, make_generator(0, "weights")).train()
    examples = load_examples("test", tiny_data)

    def measure(batch: int) -> float:
        """Return the best of three: another process may have taken the processor away."""
        rounds = range(3)
        return max(
            measure_inference(model, examples, preset.normalization, batch, 0.1) for _ in rounds
        )

    assert measure(200) > measure(1) > 10
    assert not model.training
