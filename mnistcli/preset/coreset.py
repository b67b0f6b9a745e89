"""Coresets: the fraction of the training images to learn from, and how it is selected."""

from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from mnistcli.preset.values import StrictModel

MAX_SIZE = 1_000_000
Clusters = Annotated[int, Field(ge=1, le=10_000)]
Score = Literal["loss", "margin", "entropy", "el2n", "grand", "forgetting"]


class Random(StrictModel):
    """Random selection: the baseline for all other methods."""

    kind: Literal["random"]


class KMeans(StrictModel):
    """The images nearest to a centre of any k-means cluster."""

    kind: Literal["kmeans"]
    clusters: Clusters = 10
    """Number of clusters for each digit, or for all images if balance is free."""


class KMeansSpread(StrictModel):
    """Images of every k-means cluster, in proportion to its size."""

    kind: Literal["kmeans_spread"]
    clusters: Clusters | None = None
    """Number of clusters; by default one for each image to select, the nearest to its centre."""


class KCenter(StrictModel):
    """Greedy k-center: next, the image farthest from all selected ones."""

    kind: Literal["k_center"]


class Herding(StrictModel):
    """Herding: next, the image that brings the mean of the selected nearest to the mean of all."""

    kind: Literal["herding"]


class FacilityLocation(StrictModel):
    """Facility location: images such that every image is similar to a selected one."""

    kind: Literal["facility_location"]


class Moderate(StrictModel):
    """Images whose distance to the mean of their digit is nearest to the median distance."""

    kind: Literal["moderate"]


class Hardest(StrictModel):
    """The images with the highest difficulty score."""

    kind: Literal["margin", "entropy", "el2n", "grand", "forgetting"]


class CoverageCentric(StrictModel):
    """Coverage-centric selection: equally many images of every difficulty, without the hardest."""

    kind: Literal["ccs"]
    score: Score = "el2n"
    cut: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Fraction of the images, the hardest, that is left out."""
    strata: Annotated[int, Field(ge=1, le=1_000)] = 50
    """Number of intervals of the score."""


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
    """A subset of the training images, selected before training."""

    size: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    balance: Literal["equal", "proportional", "free"] = "equal"
    """Images of each digit: equally many, as in the data, or as the method selects."""
    features: Literal["pixels", "pca", "network"] = "pca"
    """Space in which distances are measured: pixels, their first 50 principal components, or the
    inputs of the last layer of a small trained network."""
    selector: Selector = Random(kind="random")


def default_selector(method: Method) -> Selector:
    """Return the selector of a method with its default parameters."""
    selector: Selector = TypeAdapter(Selector).validate_python({"kind": method})
    return selector
