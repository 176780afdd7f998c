import shutil
from pathlib import Path

import pytest

from univs.data.benchmarks import BENCHMARKS, check_benchmark
from univs.errors import InputError

from .miniatures import MINIATURES, write_davis2017, write_youtube_vos


@pytest.mark.parametrize("name", sorted(MINIATURES))
def test_miniature_of_every_benchmark_is_found_complete(tmp_path: Path, name: str) -> None:
    MINIATURES[name](tmp_path)
    checks = check_benchmark(name, tmp_path)
    complete = [check for check in checks if check.is_complete]
    assert complete
    assert all(check.num_frames in {check.num_videos, 3 * check.num_videos} for check in complete)
    assert all(check.num_videos >= 1 for check in complete)
    assert all(check.problem for check in checks if not check.is_complete)


def test_every_benchmark_but_davis2016_has_a_miniature() -> None:
    assert {*MINIATURES, "davis2016"} == set(BENCHMARKS)


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_empty_folder_is_told_for_every_split(tmp_path: Path, name: str) -> None:
    checks = check_benchmark(name, tmp_path)
    assert [check.split for check in checks] == list(BENCHMARKS[name].splits)
    assert all(str(tmp_path) in check.problem for check in checks)


def test_missing_files_are_named(tmp_path: Path) -> None:
    MINIATURES["ytvis2021"](tmp_path)
    gone = tmp_path / "train" / "JPEGImages" / "1b" / "00005.jpg"
    gone.unlink()
    train, valid, test = check_benchmark("ytvis2021", tmp_path)
    assert train.missing == (gone,)
    assert (train.num_files, train.is_complete, valid.is_complete) == (6, False, True)
    assert "instances_test.json" in test.problem


def test_missing_pictures_of_stills_are_named(tmp_path: Path) -> None:
    """Of COCO one picture is missing, then all of them; what is predicted can be scored without any."""
    MINIATURES["coco_instances"](tmp_path)
    gone = tmp_path / "val2017" / "000000000002.jpg"
    gone.unlink()
    _, val = check_benchmark("coco_instances", tmp_path)
    assert (val.missing, val.num_files) == ((gone,), 2)
    shutil.rmtree(tmp_path / "val2017")
    _, val = check_benchmark("coco_instances", tmp_path)
    assert len(val.missing) == 2


def test_damaged_first_frame_is_told(tmp_path: Path) -> None:
    write_davis2017(tmp_path)
    (tmp_path / "JPEGImages" / "480p" / "goat" / "00000.jpg").write_bytes(b"no picture")
    _, val, _ = check_benchmark("davis2017", tmp_path)
    assert "first frame cannot be read" in val.problem


def test_annotation_without_videos_is_told(tmp_path: Path) -> None:
    write_youtube_vos(tmp_path)
    (tmp_path / "valid" / "meta.json").write_text('{"videos": {}}', encoding="utf-8")
    _, valid = check_benchmark("youtube_vos2018", tmp_path)
    assert "holds no frame" in valid.problem


def test_other_names_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a data set of .*burst"):
        check_benchmark("imagenet", tmp_path)
    with pytest.raises(InputError, match="which is none"):
        check_benchmark("davis2017", tmp_path / "nowhere")
