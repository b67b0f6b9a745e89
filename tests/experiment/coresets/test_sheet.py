import numpy as np
import torch

from mnistcli.datasets.examples import Examples
from mnistcli.experiment.coresets.select import SelectedCoreset
from mnistcli.experiment.coresets.sheet import SHEET_COLUMNS, lay_out

COUNT = 120


def test_rows_run_from_the_easiest_to_the_hardest() -> None:
    """Every image shows its own score; the digit 1 is kept whole."""
    scores = np.random.default_rng(0).permutation(COUNT).astype(np.float32)
    labels = torch.arange(COUNT) % 2
    images = torch.from_numpy(scores).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    kept = np.flatnonzero((labels.numpy() == 1) | (np.arange(COUNT) < 10))
    choice = SelectedCoreset(kept, (5, 60), COUNT, "", {})
    rows = lay_out(Examples(images, labels), choice, scores)
    assert [(row.digit, row.kept, row.count) for row in rows] == [
        (0, True, 5), (0, False, 55), (1, True, 60),
    ]  # fmt: skip
    for row in rows:
        shown = row.images[:, 0, 0].tolist()
        members = np.flatnonzero(
            (labels.numpy() == row.digit) & (np.isin(range(COUNT), kept) == row.kept)
        )
        assert shown == sorted(shown)
        assert len(shown) == min(SHEET_COLUMNS, row.count)
        assert (shown[0], shown[-1]) == (scores[members].min(), scores[members].max())
