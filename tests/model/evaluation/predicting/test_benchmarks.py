"""The network runs over miniatures of the benchmarks, and what it writes can be scored."""

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.model.data.miniatures import FRAMES, MINIATURES, TRAINED_ON_ALONE, WITHOUT_SERVER, label_map, write_labels
from tests.model.inference.entities.streams import credulous, network, things

from univs import rle
from univs.companions import ClassVectors
from univs.config import tiny
from univs.data.benchmarks import BENCHMARKS
from univs.data.formats.coco import open_coco_instances
from univs.data.formats.segmentations import to_rle
from univs.data.formats.video_json import open_video_json
from univs.data.formats.vipseg import VipSeg
from univs.errors import InputError, UnsupportedPromptError
from univs.evaluation.predicting.benchmarks import Subject, predict_benchmark, predicted_benchmarks
from univs.evaluation.predicting.found import predict_segments, predict_tracks
from univs.evaluation.predicting.prompted import label_map as painted
from univs.evaluation.predicting.stills import predict_instances
from univs.evaluation.scoring.benchmarks import score_benchmark
from univs.evaluation.submissions.pngs import read_pngs
from univs.evaluation.submissions.tracks import read_tracks
from univs.inference.entities.options import Answer, paper_entities, released_image
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.options import paper
from univs.model import UniVS
from univs.prompt_encoder.text import TextFeatures
from univs.types import Compat, FrameResult, MaskResult, ObjectState
from univs.vocabularies import Vocabulary

_TIME_BASE = Fraction(1, 24)
_SECTIONS = {  # names of the miniatures in each
    "ade20k": 150,
    "ade20k_instances": 2,
    "camvid": 11,
    "coco": 2,
    "coco_panoptic": 2,
    "lvis": 2,
    "ovis": 2,
    "vipseg": 2,
    "ytvis19": 2,
    "ytvis21": 2,
}
_SPLITS = {
    "ade20k": "validation",
    "ade20k_instances": "validation",
    "ade20k_panoptic": "validation",
    "burst": "val",
    "camvid": "val",
    "coco_instances": "val2017",
    "coco_panoptic": "val2017",
    "davis2017": "val",
    "lvis": "val",
    "mose": "valid",
    "vipseg": "val",
    "viposeg": "valid",
    "vspw": "val",
}


@cache
def _subject() -> Subject:
    """A tiny network that knows a class vector for every name the miniatures have, and reads no text."""
    width = network().config.text_dim
    vectors = torch.randn(150, width, generator=torch.Generator().manual_seed(0))
    sections = {name: (0, number) for name, number in _SECTIONS.items()}
    return Subject(network(), classes=ClassVectors(vectors, sections), short_side_px=64)


class _Words:
    """A text encoder in which each text has a place of its own."""

    text_dim = 32

    def encode(self, texts: list[str]) -> TextFeatures:
        rows = torch.stack(
            [torch.randn(32, generator=torch.Generator().manual_seed(sum(text.encode()))) for text in texts]
        )
        return TextFeatures(rows, rows[:, None].repeat(1, 2, 1))

    def encode_names(self, names: list[str]) -> torch.Tensor:
        return self.encode(names).sentences


@cache
def _reader() -> Subject:
    """A tiny network that reads text, and has no class vectors."""
    torch.manual_seed(3)
    model = UniVS(tiny())
    model.text_encoder = _Words()
    return Subject(model.eval().requires_grad_(False), short_side_px=64)


def _complete(name: str, root: Path) -> str:
    """Make a miniature whose split is annotated, and name the split."""
    MINIATURES[name](root)
    if name == "mose":
        for frame, each in enumerate(FRAMES):
            write_labels(root / "valid" / "Annotations" / "0a" / f"{each}.png", label_map(frame + 1))
    return _SPLITS.get(name, "train")


@pytest.mark.parametrize(
    "name",
    [
        "ade20k",
        "ade20k_instances",
        "ade20k_panoptic",
        "burst",
        "camvid",
        "coco_instances",
        "coco_panoptic",
        "davis2017",
        "lvis",
        "mose",
        "ovis",
        "vipseg",
        "viposeg",
        "youtube_vos2018",
        "ytvis2019",
        "ytvis2021",
    ],
)
def test_what_is_predicted_can_be_scored(tmp_path: Path, name: str) -> None:
    root, output = (
        tmp_path / "data",
        tmp_path / ("out" if name in {"ade20k_panoptic", "coco_panoptic", "vipseg"} else "out.zip"),
    )
    split = _complete(name, root)
    ticks: list[int] = []
    predict_benchmark(name, _subject(), root, split, output, lambda: ticks.append(1))
    source = BENCHMARKS[name].open_split(root, split)
    unannotated = 1 if name == "coco_instances" else 0  # a picture that training leaves out
    assert len(ticks) == unannotated + sum(source.num_frames(item_index) for item_index in range(len(source)))
    first = score_benchmark(name, root, split, output).rows[0]
    assert all(np.isnan(value) or -1 <= value <= 1 for value in first.values)


@pytest.mark.parametrize("name", ["camvid", "coco_instances", "ref_davis", "ref_youtube_vos", "vspw", "ytvis2021"])
def test_names_and_expressions_are_read_by_the_text_encoder(tmp_path: Path, name: str) -> None:
    root, output = tmp_path / "data", tmp_path / ("out" if name == "ref_davis" else "out.zip")
    MINIATURES[name](root)
    if name == "ref_davis":
        texts = root / "davis_text_annotations"
        for missing in ("Davis17_annot2.txt", "Davis17_annot2_full_video.txt"):
            (texts / missing).write_bytes((texts / "Davis17_annot1.txt").read_bytes())
    split = {"ref_davis": "val"}.get(name) or _SPLITS.get(name, "train")
    predict_benchmark(name, _reader(), root, split, output, lambda: None)
    table = score_benchmark(name, root, split, output)
    assert all(np.isnan(value) or 0 <= value <= 1 for value in table.rows[0].values)


def test_every_benchmark_can_be_predicted() -> None:
    """DAVIS 2016 has `univs eval`."""
    assert set(BENCHMARKS) - set(predicted_benchmarks()) == {*WITHOUT_SERVER, *TRAINED_ON_ALONE}


def test_objects_are_followed_from_the_frame_that_gives_them(tmp_path: Path) -> None:
    MINIATURES["youtube_vos2018"](tmp_path / "data")
    predict_benchmark("youtube_vos2018", _subject(), tmp_path / "data", "valid", tmp_path / "out.zip", lambda: None)
    frames = list(read_pngs(tmp_path / "out.zip"))
    assert [(each.folder, each.frame) for each in frames] == [(v, f) for v in ("0a", "1b") for f in FRAMES]
    assert 2 not in frames[0].labels  # object 2 is given in the second frame


def test_exemplars_are_followed_through_every_frame_and_written_for_annotated_ones(tmp_path: Path) -> None:
    MINIATURES["burst"](tmp_path)
    predict_benchmark("burst", _subject(), tmp_path, "val", tmp_path / "out.json", lambda: None)
    (sequence,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["sequences"]
    assert [path[:-4] for path in sequence["annotated_image_paths"]] == list(FRAMES)
    assert len(sequence["segmentations"]) == 3
    assert "2" not in sequence["segmentations"][0]  # given in the second annotated frame
    assert all(not mask["is_gt"] for frame in sequence["segmentations"] for mask in frame.values())


def test_weights_that_read_no_text_refuse_expressions_and_leave_no_file(tmp_path: Path) -> None:
    MINIATURES["ref_youtube_vos"](tmp_path / "data")
    with pytest.raises(UnsupportedPromptError):
        predict_benchmark("ref_youtube_vos", _subject(), tmp_path / "data", "valid", tmp_path / "a.zip", lambda: None)
    with pytest.raises(UnsupportedPromptError):
        predict_benchmark(
            "ytvis2021",
            replace(_subject(), classes=None),
            *_made("ytvis2021", tmp_path / "vis"),
            tmp_path / "b.zip",
            lambda: None,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "vis"]


def test_tracks_have_the_video_and_the_classes_of_the_data_set(tmp_path: Path) -> None:
    MINIATURES["ytvis2021"](tmp_path)
    source = open_video_json(tmp_path, "valid", "ytvis2021")
    predict_tracks(source, _credulous(things(2)), tmp_path / "results.json", lambda: None)
    tracks = read_tracks(tmp_path / "results.json")
    assert tracks, "settings that believe anything find something"
    assert {track.video_id for track in tracks} <= {1, 2}
    assert {track.category_id for track in tracks} <= {2, 5}
    assert all(len(track.masks) == 3 and 0 <= track.score <= 1 for track in tracks)


def test_instances_of_pictures_are_written_as_coco_has_them(tmp_path: Path) -> None:
    MINIATURES["coco_instances"](tmp_path)
    source = open_coco_instances(tmp_path, "val2017", keeps_empty=True)
    predict_instances(source, _credulous(things(2)), tmp_path / "results.json", lambda: None)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert {each["image_id"] for each in results} <= {1, 2, 3}
    assert {each["category_id"] for each in results} <= {4, 9}
    assert len(results) > 3, "settings that believe anything find something in every picture"
    for each in results:
        mask = to_rle(each["segmentation"], (12, 16))
        assert mask is not None and 0 <= each["score"] <= 1


def test_void_and_classes_of_pictures_have_the_values_of_the_annotation(tmp_path: Path) -> None:
    """CamVid counts classes from 0 and has 11 for void; ADE20K from 1 and has 0 for void."""
    for name, values in (("camvid", range(12)), ("ade20k", range(151))):
        root, output = tmp_path / name, tmp_path / f"{name}.zip"
        split = _complete(name, root)
        predict_benchmark(name, _subject(), root, split, output, lambda: None)
        (frame,) = read_pngs(output)
        assert frame.folder == split
        assert set(np.unique(frame.labels).tolist()) <= set(values)


def test_stills_are_looked_at_with_the_settings_of_the_paper_unless_as_served() -> None:
    words = things(2)
    finder = _subject().still_finder(words, released_image)((32, 32), Answer.INSTANCES)
    assert finder.options.detection.first_score == 0.0
    assert finder.options.inference == paper(64)
    served = replace(_subject(), is_as_served=True).still_finder(words, released_image)((32, 32), Answer.INSTANCES)
    assert served.options == paper_entities(64)
    published = replace(_subject(), compat=Compat.RELEASED, short_side_px=None)
    assert published.still_finder(words, released_image)((32, 32), Answer.INSTANCES).options == released_image()


def test_segments_are_listed_as_they_are_painted(tmp_path: Path) -> None:
    MINIATURES["vipseg"](tmp_path)
    source = VipSeg(tmp_path, "val")
    words = things(2)
    opened = _credulous(EncodedVocabulary(Vocabulary.of_names(words.names, source.is_thing), words.vectors))
    predict_segments(source, opened, tmp_path / "out", lambda: None)
    (video,) = json.loads((tmp_path / "out" / "pred.json").read_text(encoding="utf-8"))["annotations"]
    assert [frame["file_name"] for frame in video["annotations"]] == [f"{name}.png" for name in FRAMES]
    assert any(frame["segments_info"] for frame in video["annotations"])
    score_benchmark("vipseg", tmp_path, "val", tmp_path / "out")  # refuses ids that are painted and not listed


def test_surest_object_wins_a_pixel_and_equals_go_to_the_smaller_id() -> None:
    mask = rle.encode(np.ones((2, 2), dtype=np.bool_))

    def result(scores: dict[int, float]) -> FrameResult:
        found = tuple(
            MaskResult(number, 0, score, 1.0, ObjectState.VISIBLE, 1.0, 1, None, mask)
            for number, score in scores.items()
        )
        return FrameResult(0, 0, _TIME_BASE, (2, 2), found)

    assert painted(result({1: 0.2, 2: 0.9, 3: 0.5})).tolist() == [[2, 2], [2, 2]]
    assert painted(result({1: 0.5, 2: 0.5})).tolist() == [[1, 1], [1, 1]]
    assert painted(result({})).tolist() == [[0, 0], [0, 0]]


def test_other_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a data set of"):
        predict_benchmark("imagenet", _subject(), tmp_path, "val", tmp_path / "out.zip", lambda: None)


def _made(name: str, root: Path) -> tuple[Path, str]:
    return root, _complete(name, root)


def _credulous(words: EncodedVocabulary) -> Callable[[tuple[int, int], Answer], EntitySegmenter]:
    return lambda size, answer: EntitySegmenter(network(), words, size, (answer,), credulous())
