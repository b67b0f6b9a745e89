import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.datasets import identical
from mnistcli.datasets.identical import find_first
from mnistcli.datasets.load import load_examples


def make_images(contents: list[tuple[int, int]]) -> np.ndarray:
    """Return an image for every (value, place): all black but one pixel."""
    images = np.zeros((len(contents), 28, 28), dtype=np.uint8)
    for image, (value, place) in zip(images, contents, strict=True):
        image.reshape(-1)[place] = value
    return images


@pytest.mark.parametrize("multiplier", [None, 0], ids=["hashed", "all hashes equal"])
@given(contents=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 7, 8, 783]))))
def test_the_first_identical_image_is_found(contents: list, multiplier: int | None) -> None:
    images = make_images(contents)
    wanted = [
        next(i for i, other in enumerate(images) if np.array_equal(other, image))
        for image in images
    ]
    with pytest.MonkeyPatch.context() as patch:
        if multiplier is not None:
            patch.setattr(identical, "MULTIPLIERS", identical.MULTIPLIERS * np.uint64(multiplier))
        assert find_first(images).tolist() == wanted


def test_images_need_not_be_contiguous() -> None:
    images = make_images([(1, 1), (1, 28), (1, 1)])
    assert find_first(images).tolist() == [0, 1, 0]
    assert find_first(images.transpose(0, 2, 1)).tolist() == [0, 1, 0]
    assert find_first(images[::2]).tolist() == [0, 0]


def test_mnist_has_no_image_twice() -> None:
    train, test = (load_examples(split).images[:, 0].numpy() for split in ("train", "test"))
    images = np.concatenate([train, test])
    assert np.array_equal(find_first(images), np.arange(70_000))
    copied = np.concatenate([images, images[12_345:12_346]])
    assert find_first(copied)[-1] == 12_345
