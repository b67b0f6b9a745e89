"""Standard terms only: none of the terms that they replaced comes back."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The reader of older records must know the names that they were written with.
EXEMPT = {"mnistcli/records/older.py"}
ENDINGS = {".py", ".toml", ".md", ".jinja"}
# A string that seeds a random generator: another one would give other results.
SEEDS = re.compile(r'"judges"')
BANNED = {
    r"(?i)judg": "evaluate, check, compare or verdict",
    r"(?i)\b(go|goes|going|gone|went) on\b": "resume, continue",
    r"(?i)\b(has|have|had) lost lines": "is truncated",
    r"(?i)\bother weights than|OTHER weights": "weights differ from",
    r"(?i)what was not the same|nothing that the records tell": "recorded differences",
    r"(?i)says what to train already": "cannot be combined with",
    r"(?i)\bgo(es)? with(out)? (no )?--|goes with no": "cannot be combined with",
    r"(?i)runs are not; leave": "was measured on other test images; leave it out",
    r"(?i)images to answer": "data split to evaluate",
    r"(?i)\bchance\b": "random",
    r"\bPrints it\b": "Show the version and exit.",
    r"(?i)where the time went": "Profile the training loop.",
    r"(?i)\bor else\b|[\"'>]sure[\"'<]|\bis sure\b": "confidence, runner-up, accuracy",
    r"(?i)as often right": "reliability diagram",
    r"(?i)first layer looks for": "first-layer filters",
    r"(?i)answers to the test images": "confusion matrix, test set",
    r"[>\"]Again[<\"]": "reproduce",
    r"(?i)no whole (PNG|picture)": "not a readable PNG or JPEG image",
    r"(?i)too large for its budget": "the network exceeds its parameter budget",
    r"(?i)so far on its side": "one-sided p-value against the claimed value",
    r"(?i)\b(does|do) not hold\b|\"holds\"|\bnot decided\b|not measured here": (
        "confirmed, refuted, undecided, not measured"
    ),
    r"(?i)comes again in a run": "skip events that are already in the log",
    r"(?i:\bunderway\b)|\b_Trained\b|\bEnded\b|class Trained": "EpochState, TrainingResult",
    r"(?i)\b(run_?)?keeper\b": "Checkpointer",
    r"\b(Together|Reading|Material)\(|class (Together|Reading|Material)\b": (
        "EnsembleResult, PredictionResult, SelectionInputs"
    ),
    r"\bherd\b|\blocate_facilities\b": "herding, facility_location",
    r"\badjust\(|(?<!of )(?<!of_)\bfreedom\b": "holm_adjust, degrees_of_freedom",
    r"curriculum_less_this|missing_seeds": "difference, additional_seeds_needed",
    r"(?i)\bgreatest\b|(?<!at )\bleast\b|\bleast_": "max, min",
    r"(?i)\b(share|part) of (the|its|all|these)( \w+)? images": "fraction of the images",
    r"(?i)multiply-adds": "multiply-accumulates (MACs)",
    r'"""Of ': "a plain phrase",
}


def texts() -> dict[str, str]:
    """Return the text of every file that a person reads, by its path in the project."""
    files = [*(ROOT / "mnistcli").rglob("*"), *(ROOT / "presets").rglob("*"), *ROOT.glob("*.md")]
    paths = {path.relative_to(ROOT).as_posix(): path for path in files if path.suffix in ENDINGS}
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    # The changelog quotes the words that were replaced.
    texts["CHANGELOG.md"] = re.sub(r"`[^`\n]*`|\*[^*\n]*\*", "", texts["CHANGELOG.md"])
    return {name: text for name, text in texts.items() if name not in EXEMPT}


TEXTS = texts()


@pytest.mark.parametrize("pattern", BANNED)
def test_standard_terms_only(pattern: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in TEXTS.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search(pattern, SEEDS.sub("", line))
    ]
    assert not found, f"say: {BANNED[pattern]}"


def test_every_kind_of_file_is_read() -> None:
    assert EXEMPT <= {path.relative_to(ROOT).as_posix() for path in ROOT.glob("mnistcli/**/*.py")}
    for ending in ENDINGS:
        assert any(name.endswith(ending) for name in TEXTS), ending


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("(?i)judg", "def _judge_digits():"),
        (r"(?i)\bchance\b", "Chance decides."),
        (r"(?i)\b(go|goes|going|gone|went) on\b", "It cannot be gone on with."),
    ],
)
def test_a_replaced_term_is_found(pattern: str, line: str) -> None:
    assert pattern in BANNED
    assert re.search(pattern, line)
