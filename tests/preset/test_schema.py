"""What a preset may say of itself: text that can be printed, and figures that can be true."""

from pathlib import Path
from typing import Any

import pytest

from mnistcli.errors import PresetError
from mnistcli.preset.loading import load_preset, validate_preset

Json = dict[str, Any]
ACCURACIES = [0.9921, 0.9917, 0.9923]
REFERENCE: Json = {
    "command": "c", "seeds": [0, 1, 2], "parameters": 10, "macs": 10, "mean_test_accuracy": 0.99203,
    "sd_test_accuracy": 0.00031, "test_accuracies": ACCURACIES, "median_train_seconds": 1,
    "machine": "m", "version": "v", "date": "d",
}  # fmt: skip
GROUPS: Json = {"kind": "groups", "mode": "disjoint", "groups": [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]}


def fault(**changes: object) -> str:
    """What is said of sprint with other fields; nothing where it is accepted."""
    data = load_preset("sprint").model_dump(mode="json") | changes
    try:
        validate_preset(data, "it")
    except PresetError as error:
        return str(error)
    return ""


def claim(figure: str, value: object, where: str = "w") -> Json:
    return {"claims": [{"figure": figure, "value": value, "where": where}]}


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "a\nb", "\x7f", "\x9b31m", "\u202eevil"])
@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("title", lambda text: {"title": text}),
        ("source", lambda text: {"source": text}),
        ("published.claims.0.where", lambda text: {"published": claim("parameters", 1, text)}),
        ("curriculum.names.1", lambda text: {"curriculum": GROUPS | {"names": ["low", text]}}),
        *(
            (f"reference.{name}", lambda text, name=name: {"reference": REFERENCE | {name: text}})
            for name in ("command", "machine", "version", "date")
        ),
    ],
)
def test_no_text_has_what_a_terminal_would_obey(path: str, change: Any, text: str) -> None:
    first = next(character for character in text if not character.isprintable())
    wanted = f"{path}: the character U+{ord(first):04X} is not printable. Leave it out."
    assert fault(**change(text)) == f'invalid preset "it": {wanted}'
    assert fault(**change("95 % · “ok”…")) == ""


def test_an_escape_in_a_file_is_found_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "\\u001b]0;owned\\u0007"\n')
    with pytest.raises(PresetError, match=r"title: the character U\+001B is not printable"):
        load_preset(str(path))


@pytest.mark.parametrize(
    ("figure", "value", "words"),
    [
        ("parameters", 10**400, "value: input should be less than or equal to 1"),
        ("train_seconds", 1e16, "value: input should be less than or equal to 1"),
        ("parameters", -5, "value: input should be greater than or equal to 0"),
        ("test_accuracy", -5, "value: input should be greater than or equal to 0"),
        ("test_accuracy", 1.5, "0: test_accuracy must be a fraction in [0, 1], got 1.5"),
        ("train_accuracy", 99.4, "0: train_accuracy must be a fraction in [0, 1], got 99.4"),
        ("parameters", 19_000.5, "0: parameters must be an integer, got 19000.5"),
        ("test_loss", float("nan"), "value"),
        ("test_accuracy", 1, ""),
        ("test_accuracy", 0.0, ""),
        ("test_loss", 1.5, ""),
        ("epoch_seconds", 10**15, ""),
        ("parameters", 10**15, ""),
    ],
)
def test_a_claim_is_a_figure_that_can_be(figure: str, value: object, words: str) -> None:
    found = fault(published=claim(figure, value))
    assert words in found
    assert bool(words) == bool(found)
    assert len(found) < 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"test_accuracies": []}, ""),
        ({"mean_test_accuracy": 0.99208, "sd_test_accuracy": 0.0004}, ""),
        ({"seeds": [4], "test_accuracies": [0.9921], "sd_test_accuracy": 0}, ""),
        ({"mean_test_accuracy": 1.5}, "mean_test_accuracy: input should be less than"),
        ({"sd_test_accuracy": 1e200}, "sd_test_accuracy: input should be less than"),
        ({"test_accuracies": [1.5, 0, 0]}, "test_accuracies.0: input should be less than"),
        ({"train_accuracies": [-1, 0, 0]}, "train_accuracies.0: input should be greater than"),
        ({"test_losses": [1e200, 0, 0]}, "test_losses.0: input should be less than"),
        ({"train_losses": [0, -1, 0]}, "train_losses.1: input should be greater than"),
        ({"median_train_seconds": 1e16}, "median_train_seconds: input should be less than"),
        ({"seconds_alone": -1}, "seconds_alone: input should be greater than"),
        ({"seeds": [0, 1, 10**400]}, "seeds.2: input should be less than"),
        ({"seeds": [0, 1, 1]}, "reference: seeds: 1 occurs more than once"),
        (
            {"mean_test_accuracy": 0.9955},
            "reference: mean_test_accuracy is 0.9955, but 0.992033 follows from test_accuracies",
        ),
        (
            {"sd_test_accuracy": 0.1},
            "reference: sd_test_accuracy is 0.1, but 0.000305505 follows from test_accuracies",
        ),
        (
            {"seeds": [4], "test_accuracies": [0.99], "mean_test_accuracy": 0.99},
            "reference: sd_test_accuracy is 0.00031, but 0 follows from test_accuracies",
        ),
    ],
)
def test_a_reference_does_not_contradict_itself(change: Json, words: str) -> None:
    found = fault(reference=REFERENCE | change)
    assert words in found
    assert bool(words) == bool(found)
    assert len(found) < 200


@pytest.mark.parametrize(
    ("quantize", "message"),
    [
        ({"weights": 8}, ""),
        ({"weights": "ternary", "activations": 8}, ""),
        ({}, "train.quantize.weights: "),
        ({"weights": 3}, "train.quantize.weights: "),
        ({"weights": 4, "activations": 4}, "train.quantize.activations: "),
        ({"weights": 4, "biases": 8}, "train.quantize.biases: "),
    ],
)
def test_weights_are_trained_for_some_numbers_of_bits(quantize: Json, message: str) -> None:
    train = load_preset("sprint").model_dump(mode="json")["train"] | {"quantize": quantize}
    found = fault(train=train)
    assert message in found if message else not found


def test_only_layers_are_quantized() -> None:
    train = load_preset("sprint").model_dump(mode="json")["train"] | {"quantize": {"weights": 8}}
    found = fault(model={"python": "net.py:Net"}, train=train)
    assert "train.quantize needs a network of layers. Set train.quantize=none." in found


def test_pruned_weights_of_two_bits_would_not_be_zero() -> None:
    prune = ["prune={kind='weights', fraction=0.5, epochs=1}", "train.quantize={weights=2}"]
    with pytest.raises(PresetError, match="weights of 2 bits are -3, -1, 1 or 3 steps, never zero"):
        load_preset("bytes-3k", prune)
    assert load_preset("bytes-3k", [prune[0], "train.quantize={weights='ternary'}"]).prune
