"""A folder of one's own videos, in either layout."""

from pathlib import Path

import pytest
import torch

from univs.data.formats.label_videos import LabelVideos
from univs.data.formats.own_videos import open_own_videos
from univs.data.formats.track_videos import TrackVideos
from univs.data.sample import UNKNOWN_CATEGORY
from univs.errors import InputError

from .miniatures import FRAMES, NUM_FRAMES, label_map, write_davis2017, write_own_videos, write_video_json


def test_folders_of_frames_and_ids_are_read_with_the_names_that_there_are(tmp_path: Path) -> None:
    write_own_videos(tmp_path)
    source = open_own_videos(tmp_path, "train")
    assert isinstance(source, LabelVideos)
    assert source.vocabulary == ("stone",)
    assert [each.first_position for each in source.videos[0].objects] == [0, 2]
    picture = source.read(0, 2)
    assert picture.texts == ("", "the stone below")
    assert picture.category_ids == (UNKNOWN_CATEGORY, 0)
    assert torch.equal(picture.masks[1], torch.from_numpy(label_map(2) == 2))


def test_frames_without_annotation_are_left_out_of_training(tmp_path: Path) -> None:
    write_own_videos(tmp_path)
    source = open_own_videos(tmp_path, "train")
    assert isinstance(source, LabelVideos)
    annotated = source.annotated()
    assert (source.num_frames(0), annotated.num_frames(0)) == (NUM_FRAMES, 2)
    assert annotated.videos[0].frame_names == (FRAMES[0], FRAMES[2])
    assert [each.first_position for each in annotated.videos[0].objects] == [0, 1]
    assert annotated.read(0, 1).masks[1].any()


def test_layout_of_davis_is_read_as_it_is(tmp_path: Path) -> None:
    write_davis2017(tmp_path)
    source = open_own_videos(tmp_path, "val")
    assert isinstance(source, LabelVideos)
    assert source.videos[0].name == "goat" and len(source.videos[0].objects) == 2
    with pytest.raises(InputError, match=r"ImageSets/train\.txt"):
        open_own_videos(tmp_path, "train")  # a list for one split, none for the other


def test_json_of_videos_is_read_wherever_the_frames_lie(tmp_path: Path) -> None:
    write_video_json(tmp_path)
    source = open_own_videos(tmp_path, "train")
    assert isinstance(source, TrackVideos)
    assert (source.name, len(source)) == ("own-train", 2)
    (tmp_path / "train" / "instances.json").rename(tmp_path / "instances.json")
    (tmp_path / "train" / "JPEGImages").rename(tmp_path / "images")
    again = open_own_videos(tmp_path, "train")
    assert torch.equal(again.read(0, 1).masks, source_masks := again.read(0, 1).masks)
    assert source_masks.any()
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="put the frames there"):
        open_own_videos(tmp_path, "train")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="JPEGImages"):
        open_own_videos(tmp_path, "train")
    with pytest.raises(InputError, match=r"ImageSets/val\.txt"):
        open_own_videos(tmp_path, "val")
    write_own_videos(tmp_path)
    for path in (tmp_path / "Annotations" / "goat").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="draw one at least"):
        open_own_videos(tmp_path, "train")
