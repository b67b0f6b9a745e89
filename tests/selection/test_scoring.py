import torch

from mnistcli.selection.scoring import Predictions, score


def predictions(*probabilities: list[list[float]]) -> list[Predictions]:
    made = []
    for epoch in probabilities:
        wide = torch.zeros(len(epoch), 10)
        wide[:, :3] = torch.tensor(epoch)
        made.append(Predictions(torch.tensor([[3.0, 4.0]] * len(epoch)), wide))
    return made


RIGHT, WRONG, UNSURE = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]
LABELS = torch.tensor([0, 0, 0])


def test_scores_are_those_of_the_papers() -> None:
    found = score([predictions([RIGHT, WRONG, UNSURE])], LABELS)
    close = {name: [round(float(v), 4) for v in values] for name, values in found.items()}
    assert close["el2n"] == [0, round(2**0.5, 4), round(0.5**0.5, 4)]
    # The gradient by weights and bias of a last layer that sees (3, 4): |error| · sqrt(26).
    assert close["grand"] == [0, round(52**0.5, 4), round(13**0.5, 4)]
    assert close["margin"] == [0, 0, 1]
    assert close["loss"] == [0, round(12 * 2.302585, 4), 0.6931]
    assert close["entropy"] == [0, 0, round(float(torch.tensor(2.0).log()), 4)]


def test_the_last_layers_gradient_is_that_of_autograd() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(4, 10)
    features = torch.randn(5, 4, generator=generator)
    labels = torch.tensor([1, 2, 3, 4, 5])
    probabilities = layer(features).softmax(dim=1).detach()
    found = score([[Predictions(features, probabilities)]], labels)["grand"]
    for row in range(5):
        layer.zero_grad()
        torch.nn.functional.cross_entropy(layer(features[row]), labels[row]).backward()
        norm = torch.cat([p.grad.flatten() for p in layer.parameters()]).norm()
        assert abs(float(norm) - float(found[row])) < 1e-5


def test_forgetting_counts_what_was_known_and_lost() -> None:
    history = predictions(
        [RIGHT, WRONG, WRONG], [WRONG, RIGHT, WRONG], [RIGHT, RIGHT, WRONG], [WRONG, RIGHT, WRONG]
    )
    # Lost twice; learned and kept; never learned, which counts as lost in every epoch.
    assert score([history], LABELS)["forgetting"].tolist() == [2, 0, 4]


def test_scores_are_means_over_trainings() -> None:
    found = score([predictions([RIGHT] * 3), predictions([UNSURE] * 3)], LABELS)
    assert found["margin"].tolist() == [0.5] * 3
