"""Mixed images and labels, against the definitions, image by image."""

import pytest
import torch
from torch.nn import functional

from mnistcli.engine.mix import build_mix, draw_cuts, draw_weights
from mnistcli.engine.targets import Targets
from mnistcli.preset import augmentation as spec
from tests.engine.test_augment import digits


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mixup_mixes_images_and_labels_alike() -> None:
    images, labels = digits(16), torch.arange(16) % 10
    settings = spec.Mixup(kind="mixup", alpha=0.4)
    mixed, targets = build_mix(settings)(images.clone(), labels, generator())
    assert targets.others is not None and targets.weights is not None
    others = torch.randperm(16, generator=generator())
    assert torch.equal(targets.others, labels[others])
    for place, weight in enumerate(targets.weights.tolist()):
        right = weight * images[place] + (1 - weight) * images[others[place]]
        torch.testing.assert_close(mixed[place], right)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_weights_have_a_beta_distribution(alpha: float) -> None:
    settings = spec.Mixup(kind="mixup", alpha=alpha)
    weights = draw_weights(settings, torch.zeros(4_000, 1, 1, 1), generator())
    drawn = torch.distributions.Beta(alpha, alpha).sample((20_000,))
    right = torch.maximum(drawn, 1 - drawn)
    assert 0.5 <= float(weights.min()) and float(weights.max()) <= 1
    assert float(weights.mean()) == pytest.approx(float(right.mean()), abs=0.01)
    assert float(weights.std()) == pytest.approx(float(right.std()), abs=0.01)


def test_cutmix_takes_a_rectangle_and_its_area_of_the_label() -> None:
    images, labels = torch.zeros(64, 1, 28, 28), torch.zeros(64, dtype=torch.int64)
    images[::2], labels[::2] = 1, 1
    settings = spec.Cutmix(kind="cutmix", probability=0.7)
    mixed, targets = build_mix(settings)(images.clone(), labels, generator())
    assert targets.others is not None and targets.weights is not None
    own = torch.where(labels == 1, mixed[:, 0].mean((1, 2)), 1 - mixed[:, 0].mean((1, 2)))
    differs = labels != targets.others
    torch.testing.assert_close(own[differs], targets.weights[differs])
    assert torch.equal(mixed[~differs], images[~differs])
    assert 0.1 < float((targets.weights == 1).float().mean()) < 0.6


def test_cuts_stay_within_the_image() -> None:
    settings = spec.Cutmix(kind="cutmix", probability=1)
    boxes = draw_cuts(settings, torch.zeros(2_000, 1, 28, 28), generator())
    assert int(boxes.top.min()) >= 0 and int((boxes.top + boxes.height).max()) <= 28
    assert int(boxes.left.min()) >= 0 and int((boxes.left + boxes.width).max()) <= 28
    assert int(boxes.height.min()) >= 0 and int(boxes.width.min()) >= 0
    assert int(boxes.height.max()) > 20


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_the_mixed_label(smoothing: float) -> None:
    logits = torch.randn(8, 10, generator=generator())
    labels, others = torch.arange(8), (torch.arange(8) + 3) % 10
    weights = torch.linspace(0.5, 1, 8)
    one_hot = functional.one_hot
    soft = weights[:, None] * one_hot(labels, 10) + (1 - weights[:, None]) * one_hot(others, 10)
    right = functional.cross_entropy(logits, soft, label_smoothing=smoothing, reduction="none")
    targets = Targets(labels, others, weights)
    torch.testing.assert_close(targets.measure_losses(logits, smoothing, each=True), right)
    mean = targets.measure_losses(logits, smoothing, each=False)
    torch.testing.assert_close(mean, right.mean())


def test_without_settings_nothing_changes() -> None:
    images, labels = digits(4), torch.arange(4)
    mixed, targets = build_mix(None)(images, labels, generator())
    assert mixed is images and targets == Targets(labels)
