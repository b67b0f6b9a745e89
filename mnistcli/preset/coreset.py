"""Which part of the training images a network learns from, and how that part is chosen."""

from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from mnistcli.preset.values import StrictModel

Clusters = Annotated[int, Field(ge=1, le=10_000)]
Score = Literal["loss", "margin", "entropy", "el2n", "grand", "forgetting"]


class Random(StrictModel):
    """By chance: what every other method has to beat."""

    kind: Literal["random"]


class KMeans(StrictModel):
    """The images nearest to the centres of k-means clusters, whichever cluster they are in."""

    kind: Literal["kmeans"]
    clusters: Clusters = 10
    """In every digit, or in all images where balance is free."""


class KMeansSpread(StrictModel):
    """Images from every k-means cluster, in proportion to its size."""

    kind: Literal["kmeans_spread"]
    clusters: Clusters | None = None
    """By default as many as there are images to choose, each giving the one nearest its centre."""


class KCenter(StrictModel):
    """Again and again the image farthest from all chosen ones."""

    kind: Literal["k_center"]


class Herding(StrictModel):
    """Again and again the image that brings the mean of the chosen nearest to the mean of all."""

    kind: Literal["herding"]


class FacilityLocation(StrictModel):
    """Images such that every image has a similar one among them."""

    kind: Literal["facility_location"]


class Moderate(StrictModel):
    """Images whose distance to the mean of their digit is nearest to the median of it."""

    kind: Literal["moderate"]


class Hardest(StrictModel):
    """The images with the greatest score of difficulty."""

    kind: Literal["margin", "entropy", "el2n", "grand", "forgetting"]


class CoverageCentric(StrictModel):
    """Without the hardest images, equally many of every degree of difficulty."""

    kind: Literal["ccs"]
    score: Score = "el2n"
    cut: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the images, the hardest, that is left out."""
    strata: Annotated[int, Field(ge=1, le=1_000)] = 50


Selector = Annotated[
    Random
    | KMeans
    | KMeansSpread
    | KCenter
    | Herding
    | FacilityLocation
    | Moderate
    | Hardest
    | CoverageCentric,
    Field(discriminator="kind"),
]
Method = Literal[
    "random",
    "kmeans",
    "kmeans_spread",
    "k_center",
    "herding",
    "facility_location",
    "moderate",
    "margin",
    "entropy",
    "el2n",
    "grand",
    "forgetting",
    "ccs",
]
METHODS: tuple[Method, ...] = get_args(Method)


class Coreset(StrictModel):
    """A part of the training images, chosen before training; the rest is never seen."""

    size: Annotated[int, Field(ge=1, le=1_000_000)]
    balance: Literal["equal", "proportional", "free"] = "equal"
    """How many of each digit: equally many, as in the data, or whatever the method chooses."""
    features: Literal["pixels", "pca", "network"] = "pca"
    """Where methods that go by distance measure it: in the pixels, their first 50 principal
    components, or what the last layer of a small trained network sees."""
    selector: Selector = Random(kind="random")


def default_selector(method: Method) -> Selector:
    """The method with the parameters it has if a preset gives none."""
    selector: Selector = TypeAdapter(Selector).validate_python({"kind": method})
    return selector
