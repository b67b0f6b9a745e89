import pytest
import torch
from torch.nn import functional

from mnistcli.engine.similarity import describe_answers, measure_similarity


def test_similarity_is_the_mean_cosine_of_shape_and_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 1, 28, 28), generator=generator, dtype=torch.uint8)
    logits = 3 * torch.randn(5, 10, generator=generator)
    first, rest = torch.split(describe_answers(images, logits.softmax(dim=1)), [1, 4])
    blur = torch.tensor([[[[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]]]) / 16
    shapes = functional.avg_pool2d(functional.conv2d(images / 255, blur, padding=1), 2).flatten(1)
    cosines = [
        torch.corrcoef(torch.stack([values[0], values[place]]))[0, 1]
        for place in range(1, 5)
        for values in (shapes, logits)
    ]
    nearest = torch.stack(cosines).view(4, 2).mean(dim=1).amax()
    assert measure_similarity(first, rest).item() == pytest.approx(nearest.item(), abs=1e-5)


def test_an_image_is_most_similar_to_itself_however_faint() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 128, (20, 1, 28, 28), generator=generator, dtype=torch.uint8)
    probabilities = torch.randn(20, 10, generator=generator).softmax(dim=1)
    known = describe_answers(images, probabilities)
    found = measure_similarity(describe_answers(images * 2, probabilities), known)
    assert found.tolist() == pytest.approx([1.0] * 20, abs=1e-5)
    assert measure_similarity(known[:10], known[10:]).max() < 0.9


def test_blank_images_and_certain_answers_have_finite_similarities() -> None:
    blank = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    vectors = describe_answers(blank, torch.eye(10)[:2])
    assert torch.isfinite(measure_similarity(vectors, vectors)).all()
