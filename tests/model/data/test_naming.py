import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.model.data.sources import MovingSquare

from univs.data.clips import ClipConfig, make_clip
from univs.data.naming import absent_names, mirrored, plain_name, unambiguous


def test_names_have_one_spelling() -> None:
    assert plain_name("Sports_Ball") == plain_name("sports ball") == "sports ball"
    assert plain_name("wall-other-merged") == "wall"
    assert plain_name("car_(automobile)") == "car"


def test_left_and_right_change_places_as_words_only() -> None:
    assert (
        mirrored("the left dog, right of the leftover bright car") == "the right dog, left of the leftover bright car"
    )


@given(st.text(max_size=80))
def test_mirroring_twice_changes_nothing(text: str) -> None:
    assert mirrored(mirrored(text)) == text


def test_a_name_that_two_objects_share_names_neither() -> None:
    assert unambiguous(("dog", "cat", "dog", ""), ()) == ("", "cat", "", "")
    assert unambiguous(("dog", "cat"), ("Dog",)) == ("", "cat")


def test_names_that_nothing_stands_for_are_absent() -> None:
    assert absent_names(("dog", "cat", "sports_ball"), ("sports ball", "Dog")) == ("cat",)


class Shapes(MovingSquare):
    """A third name of the vocabulary has no object."""

    def __init__(self, *, is_exhaustive: bool) -> None:
        super().__init__()
        self.vocabulary = ("square", "disk", "star")
        self.is_exhaustive = is_exhaustive


def test_clips_know_what_is_not_in_them_where_everything_is_annotated() -> None:
    config = ClipConfig(num_frames=2, size=(64, 96), max_objects=1)
    for seed in range(5):
        known = make_clip(np.random.default_rng(seed), Shapes(is_exhaustive=True), (), config)
        assert known.absent_names == ("star",)
        unknown = make_clip(np.random.default_rng(seed), Shapes(is_exhaustive=False), (), config)
        assert unknown.absent_names == ()


def test_nothing_is_surely_absent_beside_an_object_of_another_vocabulary() -> None:
    config = ClipConfig(num_frames=2, size=(64, 96), max_objects=3)
    clips = [
        make_clip(np.random.default_rng(seed), Shapes(is_exhaustive=True), (MovingSquare(),), config)
        for seed in range(20)
    ]
    strange = [clip for clip in clips if -1 in clip.category_ids.tolist()]
    assert strange
    assert all(clip.absent_names == () for clip in strange)
