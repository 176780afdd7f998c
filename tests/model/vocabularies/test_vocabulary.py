import pytest
from hypothesis import given
from hypothesis import strategies as st

from univs.errors import InputError
from univs.vocabularies import Vocabulary, spoken

_NAMES = st.lists(st.text("abc_- ", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=8, unique=True)


def test_any_names_are_things_counted_from_one() -> None:
    words = Vocabulary.of_names(["Traffic_Light", "tree-merged"])
    assert (words.is_thing, words.category_ids) == ((True, True), (1, 2))
    assert words.phrases == ("traffic light", "tree")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [([], "one or more names"), (["cat", "dog", "cat"], "each name once, got 'cat' 2 times"), (["cat", " "], "empty")],
)
def test_names_that_mean_nothing_are_refused(names: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Vocabulary.of_names(names)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="2 names, 1 of is_thing"):
        Vocabulary.of_names(["cat", "dog"], is_thing=[True])
    with pytest.raises(InputError, match="each category id once, got 3"):
        Vocabulary.of_names(["cat", "dog"], category_ids=[3, 3])


@given(_NAMES, _NAMES)
def test_joining_keeps_every_row_and_adds_what_is_missing(first: list[str], second: list[str]) -> None:
    joined = Vocabulary.of_names(first).joined_with(Vocabulary.of_names(second))
    assert joined.names[: len(first)] == tuple(first)
    assert set(joined.names) == {*first, *second}
    assert joined.category_ids[: len(first)] == tuple(range(1, len(first) + 1))


def test_free_ids_stay_as_they_are_when_lists_are_joined() -> None:
    joined = Vocabulary.of_names(["cat"]).joined_with(Vocabulary.of_names(["cat", "sky"], category_ids=[1, 187]))
    assert joined.category_ids == (1, 187)


@given(st.text(max_size=30))
def test_speaking_a_name_again_adds_no_underscores(name: str) -> None:
    assert "_" not in spoken(name)
