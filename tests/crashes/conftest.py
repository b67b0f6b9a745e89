from collections.abc import Iterator

import pytest

from mnistcli.experiment.training import checkpoint


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Save the state after every step; do not measure speed, which nothing here depends on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "SAVE_SECONDS", 0)
        for name in ("evaluate.measure_inference", "training.run.measure_ceiling"):
            patch.setattr(f"mnistcli.experiment.{name}", lambda *_: 1_000.0)
        yield
