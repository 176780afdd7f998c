"""Fine-tuning: who is held out, what is measured, what is written."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from univs import weights
from univs.config import tiny
from univs.data.divided import Divided, open_divided
from univs.errors import InputError
from univs.evaluation.object_clips import ObjectClips
from univs.evaluation.run import PromptChoice, evaluate_vos
from univs.evaluation.trackers import CopyTracker
from univs.model import UniVS
from univs.training.finetuning import Judge, check_name, fine_tune, install
from univs.training.recipes.finetune import finetune
from univs.training.trainer import RunLimits
from univs.types import Compat

SIZE = (64, 96)


def write_videos(root: Path, *names: str, num_frames: int = 8, second_from: int = 2) -> Path:
    """Write videos of a square that moves, and of another one that appears later."""
    for place, name in enumerate(names):
        images, masks = root / "JPEGImages" / name, root / "Annotations" / name
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        ground = np.random.default_rng(place).integers(0, 80, size=(*SIZE, 3), dtype=np.uint8)
        for position in range(num_frames):
            labels = np.zeros(SIZE, dtype=np.uint8)
            labels[10:34, 4 + 3 * position : 30 + 3 * position] = 1
            if position >= second_from:
                labels[44:60, 60:84] = 7
            picture = ground.copy()
            picture[labels == 1] = (220, 180, 40)
            picture[labels == 7] = (40, 60, 230)
            Image.fromarray(picture).save(images / f"{position:05d}.jpg", quality=95)
            Image.fromarray(labels).save(masks / f"{position:05d}.png")
    return root


def names(data: Divided) -> tuple[list[str], list[str]]:
    return [part.name for part in data.train.parts], [part.name for part in data.validation.parts]


def test_a_quarter_of_the_videos_is_held_out_the_same_every_time(tmp_path: Path) -> None:
    write_videos(tmp_path, *"abcdefgh", num_frames=1)
    train, held_out = names(open_divided(tmp_path))
    assert len(held_out) == 2
    assert sorted(train + held_out) == list("abcdefgh")
    assert names(open_divided(tmp_path)) == (train, held_out)


def test_a_split_of_the_folder_is_kept_and_named_videos_go_before_it(tmp_path: Path) -> None:
    write_videos(tmp_path, "a", "b", "c", num_frames=1)
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "train.txt").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "ImageSets" / "val.txt").write_text("c\n", encoding="utf-8")
    assert names(open_divided(tmp_path)) == (["a", "b"], ["c"])
    assert names(open_divided(tmp_path, ["b"])) == (["a"], ["b"])
    with pytest.raises(InputError, match="expected videos of a, b, got z"):
        open_divided(tmp_path, ["z"])
    with pytest.raises(InputError, match="all are held out"):
        open_divided(tmp_path, ["a", "b"])


def test_a_single_video_is_divided_in_time(tmp_path: Path) -> None:
    data = open_divided(write_videos(tmp_path / "long", "a", num_frames=16))
    assert (data.train.num_frames(0), data.validation.num_frames(0)) == (12, 4)
    assert torch.equal(
        data.validation.read(0, 0).image, open_divided(tmp_path / "long").train._source.read(0, 12).image
    )
    with pytest.raises(InputError, match="masks in 12 frames or more"):
        open_divided(write_videos(tmp_path / "short", "a", num_frames=8))


def test_every_object_is_measured_from_its_first_frame(tmp_path: Path) -> None:
    data = open_divided(write_videos(tmp_path, "a", "b"), ["b"])
    clips = ObjectClips(data.validation)
    assert [(clip.name, clips.num_frames(index)) for index, clip in enumerate(clips.clips)] == [
        ("b, object 1", 8),
        ("b, object 2", 6),
    ]
    report = evaluate_vos(clips, CopyTracker, PromptChoice.MASK)
    still = report.clips[1]
    assert (still.region, still.boundary) == (1.0, 1.0), "it stands still"
    assert report.clips[0].region < 0.8


def test_weights_learn_and_are_written_with_the_semantics_they_came_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    info = weights.WeightsInfo("start", "", True, "free", tiny(), compat=Compat.PAPER)
    info = weights.save(UniVS(tiny()), start, info)
    data = open_divided(write_videos(tmp_path / "videos", "a", "b"), ["b"])
    config = finetune("mine", str(start), info, num_steps=3, learning_rate=1e-3)
    config = replace(config, clip=replace(config.clip, size=SIZE, num_frames=3))
    losses: list[float] = []
    judge = Judge(PromptChoice.BOX, 64, lambda *_: nullcontext(lambda: None))
    result = fine_tune(
        config, data, tmp_path / "run", RunLimits(num_workers=0), judge, lambda report: losses.append(report.total)
    )
    assert (result.num_steps, len(losses)) == (3, 3)
    assert [clip.clip for clip in result.before.clips] == [clip.clip for clip in result.after.clips]
    assert not (tmp_path / "run" / "cache").exists()

    path, written = install(result.path, str(start), tmp_path / "served")

    assert (path.name, written.name, written.compat) == ("mine.safetensors", "mine", Compat.PAPER)
    assert written.note == "free; continued on videos of its user's own"
    assert weights.verify(path).sha256 == written.sha256
    old, new = weights.load(start)[0].state_dict(), weights.load(path)[0].state_dict()
    kept = [name for name in old if name.startswith("backbone.")]
    assert kept and all(torch.equal(old[name], new[name]) for name in kept)
    assert any(not torch.equal(old[name], new[name]) for name in old if name.startswith("mask_decoder."))


@pytest.mark.parametrize("name", ["nano", "r50", "a/b", "../up", "", "a b"])
def test_names_that_cannot_be_served_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected a name of letters"):
        check_name(name, tmp_path, may_replace=True)


def test_a_name_that_is_taken_is_replaced_on_request_only(tmp_path: Path) -> None:
    (tmp_path / "cars.safetensors").touch()
    check_name("cars", tmp_path, may_replace=True)
    with pytest.raises(InputError, match="exists already"):
        check_name("cars", tmp_path, may_replace=False)
