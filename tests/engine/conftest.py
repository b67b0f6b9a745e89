from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module")
def without_onednn() -> Iterator[None]:
    """Compute without oneDNN, in tests that train dozens of networks in one process.

    Their backward passes make PyTorch 2.14's oneDNN write over memory that is not its own, on
    processors with AVX2 and no AVX-512; those of single networks did not.
    """
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        yield
