import re
from pathlib import Path

import pytest

from mnistcli.cli.guide import read_guide
from mnistcli.errors import PresetError
from mnistcli.preset.arms import Arm, Base, load_arms, parse_arm, read_arms, split_overrides


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("a.b=c", ("a.b=c",)),
        ("  a.b=c \t d=0 ", ("a.b=c", "d=0")),
        ("augment=[{kind='elastic'}] d=1", ("augment=[{kind='elastic'}]", "d=1")),
        ("a={kind = 'x', l = [1, 2]} d=1", ("a={kind = 'x', l = [1, 2]}", "d=1")),
        ("title='two words' d=1", ("title='two words'", "d=1")),
        ("'title=two words' \"d=1\"", ("title=two words", "d=1")),
        ('title="don\'t [" d=1', ('title="don\'t ["', "d=1")),
        ("title='a ] \" {' d=1", ("title='a ] \" {'", "d=1")),
    ],
)
def test_a_space_inside_quotes_or_brackets_separates_nothing(text: str, words: tuple) -> None:
    assert split_overrides(text) == words


@pytest.mark.parametrize(
    ("text", "missing"), [("a=[1", "]"), ("a={b=[1}", "]"), ("a='x", "'"), ('a="x]', '"')]
)
def test_an_open_bracket_or_quote_is_named(text: str, missing: str) -> None:
    with pytest.raises(PresetError) as caught:
        parse_arm(f"x: {text}")
    assert str(caught.value) == f'invalid arm "x": {missing} is missing in: {text}'


def test_an_arm_is_a_name_and_overrides() -> None:
    assert parse_arm("no smoothing: train.label_smoothing=0 train.epochs=2") == Arm(
        "no smoothing", ("train.label_smoothing=0", "train.epochs=2")
    )
    assert parse_arm("own: model.python=net.py:Net") == Arm("own", ("model.python=net.py:Net",))


@pytest.mark.parametrize("text", ["", "a.b=c", "model.python=net.py:Net", ": a=1", "name"])
def test_an_arm_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(PresetError, match="has no name"):
        parse_arm(text)


def test_a_name_is_short() -> None:
    with pytest.raises(PresetError, match="invalid --arm.*at most 60 characters"):
        parse_arm(f"{'x' * 61}: a=1")


def write(folder: Path, text: str) -> Path:
    path = folder / "arms.toml"
    path.write_text(text)
    return path


def test_a_file_has_overrides_as_tables_or_texts(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [[arm]]
        name = "texts"
        title = "As on the command line."
        set = ["train.epochs=2", "title=two words"]

        [[arm]]
        name = "table"
        set = { train.epochs = 2, "train.label_smoothing" = 0.1, curriculum = "none" }

        [[arm]]
        name = "tables"
        set.train.schedule = { kind = "cosine" }
        set.train.optimizer.learning_rate = 0.1
        set.augment = [{ kind = "elastic" }]
        """,
    )
    arms, mistakes = read_arms(path)
    assert not mistakes
    assert arms[0] == Arm("texts", ("train.epochs=2", "title=two words"), "As on the command line.")
    assert arms[1].overrides == ("train.epochs=2", "train.label_smoothing=0.1", "curriculum=none")
    # A table with a kind replaces a field, any other is merged into it.
    assert set(arms[2].overrides) == {
        'train.schedule={"kind": "cosine"}',
        "train.optimizer.learning_rate=0.1",
        'augment=[{"kind": "elastic"}]',
    }
    presets, mistakes = load_arms(Base("sprint"), arms)
    assert not mistakes
    assert presets[1].title == "two words"
    assert presets[2].curriculum is None
    assert presets[3].train.schedule.kind == "cosine"
    assert presets[3].train.optimizer.learning_rate == 0.1


def test_every_mistake_of_a_file_has_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [[arm]]
        name = "a"
        sett = ["train.epochs=2"]
        [[arm]]
        set = ["train.epochs=2"]
        [[arm]]
        name = "good"
        set = ["train.epochs=3"]
        [[arm]]
        name = "c"
        set = 5
        """,
    )
    arms, mistakes = read_arms(path)
    assert [arm.name for arm in arms] == ["good"]
    assert len(mistakes) == 3
    assert mistakes[0].startswith('invalid arm "a": set: required, but missing')
    assert mistakes[1] == "invalid arm 2: name: required, but missing"
    assert mistakes[2].startswith('invalid arm "c": set')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "arm: required, but missing"),
        ("[arm]\nname='a'", "arm: "),
        ("arms = 3", "arm: required, but missing"),
        ("[[arm]", "is not TOML"),
        ("arm = []", "arm: "),
        ("a=" + "[" * 3_000, "file of arms"),
    ],
)
def test_what_is_no_file_of_arms_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PresetError) as caught:
        read_arms(write(tmp_path, text))
    assert words in str(caught.value)
    assert "arms.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match='cannot read the file of arms "'):
        read_arms(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("arms", "mistake"),
    [
        ([Arm("base", ("train.epochs=9",))], 'invalid arm "base": this name is taken.'),
        ([Arm("a", ("train.epochs=9",)), Arm("a", ("train.epochs=8",))], 'arm "a": this name is'),
        ([Arm("a", ())], 'invalid arm "a": it has no overrides.'),
        ([Arm("a", ("train.epochs=5",))], 'invalid arm "a": it trains the same as the base.'),
        ([Arm("a", ("title=x", "budget.max_epochs=3"))], "it trains the same as the base."),
        ([Arm("a", ("train.epochs=9",)), Arm("b", ("train.epochs=9.",))],
         'invalid arm "b": it trains the same as the arm "a".'),
        ([Arm("a", ("train.epoch=9",))],
         'invalid arm "a": train.epoch: unknown key. Did you mean "epochs"?'),
        ([Arm("a", ("nonsense",))], 'invalid arm "a": "nonsense". Use "a.b=c"'),
    ],
)  # fmt: skip
def test_an_arm_that_compares_nothing_is_named(arms: list[Arm], mistake: str) -> None:
    presets, mistakes = load_arms(Base("sprint", ("train.epochs=5",)), arms)
    assert len(mistakes) == 1
    assert mistake in mistakes[0]
    assert len(presets) == len(arms), "the base and the arms that are right"


def test_arms_are_applied_after_the_base() -> None:
    base = Base("sprint", ("train.epochs=5", "train.batch_size=100"))
    presets, mistakes = load_arms(base, [Arm("a", ("train.epochs=6",))])
    assert not mistakes
    assert [each.train.epochs for each in presets] == [5, 6]
    assert [each.train.batch_size for each in presets] == [100, 100]


def test_the_guides_file_of_arms_is_valid(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", read_guide("studies"), re.DOTALL)
    arms, mistakes = read_arms(write(tmp_path, text))
    presets, invalid = load_arms(Base("dash"), arms)
    assert not mistakes + invalid
    assert [arm.name for arm in arms] == ["no smoothing", "cosine", "no schedule"]
    assert presets[2].train.schedule.kind == "cosine"
    assert presets[3].curriculum is None
