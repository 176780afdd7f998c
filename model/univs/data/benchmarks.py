"""Names of the benchmarks' data sets, each with its splits and reader, and a check of what lies in a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from univs.data.formats.ade20k_segments import Ade20kSegments
from univs.data.formats.burst import open_burst
from univs.data.formats.coco import CocoPanoptic, open_coco_instances, open_lvis
from univs.data.formats.davis import Davis2016
from univs.data.formats.davis2017 import open_davis2017, open_ref_davis
from univs.data.formats.label_pictures import open_ade20k, open_camvid
from univs.data.formats.mose import open_mose
from univs.data.formats.own_videos import open_own_videos
from univs.data.formats.refcoco import open_refcoco
from univs.data.formats.sa1b import Sa1b
from univs.data.formats.video_json import open_video_json
from univs.data.formats.viposeg import open_viposeg
from univs.data.formats.vipseg import VipSeg
from univs.data.formats.vspw import Vspw
from univs.data.formats.youtube_vos import open_ref_youtube_vos, open_youtube_vos
from univs.data.sample import Source
from univs.errors import InputError


class FileSource(Source, Protocol):
    """A data set that can name its files."""

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        ...


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A data set in its official layout."""

    splits: tuple[str, ...]
    open_split: Callable[[Path, str], FileSource]


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """What lies in a folder of one split."""

    split: str
    num_videos: int
    num_frames: int
    num_files: int
    missing: tuple[Path, ...]  # files that the annotation names
    problem: str  # why the split cannot be opened or its first frame not be read; "" when it can

    @property
    def is_complete(self) -> bool:
        """Say whether the split can be used."""
        return not self.problem and not self.missing


BENCHMARKS: dict[str, Benchmark] = {
    "ade20k": Benchmark(("training", "validation"), open_ade20k),
    "ade20k_instances": Benchmark(("training", "validation"), partial(Ade20kSegments, with_stuff=False)),
    "ade20k_panoptic": Benchmark(("training", "validation"), partial(Ade20kSegments, with_stuff=True)),
    "burst": Benchmark(("train", "val", "test"), open_burst),
    "camvid": Benchmark(("train", "val", "test"), open_camvid),
    "coco_instances": Benchmark(("train", "val"), open_coco_instances),
    "coco_panoptic": Benchmark(("train", "val"), CocoPanoptic),
    "davis2016": Benchmark(("train", "dev", "val", "test"), Davis2016),
    "davis2017": Benchmark(("train", "val", "test-dev"), open_davis2017),
    "lvis": Benchmark(("train", "val"), open_lvis),
    "mose": Benchmark(("train", "valid"), open_mose),
    "ovis": Benchmark(("train", "valid", "test"), partial(open_video_json, name="ovis")),
    "own_videos": Benchmark(("train", "val"), open_own_videos),
    "ref_davis": Benchmark(("train", "val"), open_ref_davis),
    "ref_youtube_vos": Benchmark(("train", "valid"), open_ref_youtube_vos),
    "refcoco": Benchmark(("train", "val", "testA", "testB"), partial(open_refcoco, name="refcoco")),
    "refcoco_plus": Benchmark(("train", "val", "testA", "testB"), partial(open_refcoco, name="refcoco-plus")),
    "refcocog": Benchmark(("train", "val", "test"), partial(open_refcoco, name="refcocog")),
    "sa1b": Benchmark(("train",), Sa1b),
    "viposeg": Benchmark(("train", "valid"), open_viposeg),
    "vipseg": Benchmark(("train", "val", "test"), VipSeg),
    "vspw": Benchmark(("train", "val", "test"), Vspw),
    "youtube_vos2018": Benchmark(("train", "valid"), open_youtube_vos),
    "ytvis2019": Benchmark(("train", "valid", "test"), partial(open_video_json, name="ytvis2019")),
    "ytvis2021": Benchmark(("train", "valid", "test"), partial(open_video_json, name="ytvis2021")),
}


def check_benchmark(name: str, root: Path) -> tuple[SplitCheck, ...]:
    """Open every split of a data set, read its first frame, and look for the files it names.

    Args:
        name: a key of BENCHMARKS.
        root: the folder in which the data set was unpacked.
    Raises:
        InputError: for another name, or a folder that is missing.
    """
    if name not in BENCHMARKS:
        raise InputError(f"expected a data set of {', '.join(BENCHMARKS)}, got {name!r}")
    if not root.is_dir():
        raise InputError(f"expected the folder of {name}, got {root}, which is none; unpack the data set there")
    return tuple(_check_split(BENCHMARKS[name], root, split) for split in BENCHMARKS[name].splits)


def _check_split(benchmark: Benchmark, root: Path, split: str) -> SplitCheck:
    try:
        source = benchmark.open_split(root, split)
    except InputError as error:
        return SplitCheck(split, 0, 0, 0, (), str(error))
    paths = tuple(source.paths())
    missing = tuple(path for path in paths if not path.is_file())
    num_frames = sum(source.num_frames(item_index) for item_index in range(len(source)))
    problem = "" if missing else _problem_of_first_frame(source)
    return SplitCheck(split, len(source), num_frames, len(paths), missing, problem)


def _problem_of_first_frame(source: FileSource) -> str:
    if len(source) == 0 or source.num_frames(0) == 0:
        return "it holds no frame; the annotation lists no video"
    try:
        source.read(0, 0)
    except (InputError, OSError, ValueError) as error:
        return f"its first frame cannot be read: {error}"
    return ""
