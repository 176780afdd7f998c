"""Names of the benchmarks that the network can be run over, each with the function that does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from univs.companions import ClassVectors
from univs.data.formats.ade20k_segments import Ade20kSegments
from univs.data.formats.burst import annotation_path, open_burst
from univs.data.formats.coco import CocoPanoptic, open_coco_instances, open_lvis
from univs.data.formats.davis2017 import open_davis2017, open_ref_davis
from univs.data.formats.json_files import read_json
from univs.data.formats.label_pictures import LabelPictures, open_ade20k, open_camvid
from univs.data.formats.label_videos import LabelVideos
from univs.data.formats.mose import open_mose
from univs.data.formats.video_json import open_video_json
from univs.data.formats.viposeg import open_viposeg
from univs.data.formats.vipseg import VipSeg
from univs.data.formats.vspw import Vspw
from univs.data.formats.youtube_vos import open_ref_youtube_vos, open_youtube_vos
from univs.errors import InputError
from univs.evaluation.federated import MAX_RESULTS as MAX_RESULTS_LVIS
from univs.evaluation.predicting.exemplars import predict_exemplars
from univs.evaluation.predicting.found import OpenFinder, predict_classes, predict_segments, predict_tracks
from univs.evaluation.predicting.prompted import predict_expressions, predict_named_objects, predict_objects
from univs.evaluation.predicting.stills import (
    MappedPictures,
    NumberedPictures,
    predict_instances,
    predict_picture_classes,
    predict_picture_segments,
)
from univs.evaluation.predicting.videos import OnFrame
from univs.inference.entities.options import (
    Answer,
    EntityOptions,
    paper_entities,
    released_image,
    released_image_panoptic,
    released_vis,
    released_vps,
    released_vss,
)
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.options import options_for
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.types import Compat
from univs.vocabularies import Vocabulary

_NUM_ANNOTATORS = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """What is run.

    Attributes:
        model: the network, in evaluation mode.
        compat: the semantics that its weights were made for.
        classes: its class vectors, if it has some; names are read by its text encoder where it has none.
        short_side_px: of the picture that the network sees; None takes the semantics' own.
        is_as_served: find categories in stills with the service's thresholds, not with those of the paper's evaluation.
    """

    model: UniVS
    compat: Compat = Compat.PAPER
    classes: ClassVectors | None = None
    short_side_px: int | None = None
    is_as_served: bool = False

    @property
    def seen_px(self) -> int:
        """Say how many pixels the short side of the picture has that the network sees."""
        return options_for(self.compat, self.short_side_px).short_side_px

    def open_segmenter(self, frame_size: tuple[int, int]) -> VideoSegmenter:
        """Open a segmenter of prompted objects for frames of (height, width)."""
        return VideoSegmenter(self.model, options_for(self.compat, self.short_side_px), frame_size)

    def vocabulary(self, section: str, names: Sequence[str], is_thing: Sequence[bool]) -> EncodedVocabulary:
        """Give the categories of a data set, from the section of the class vectors that has its name.

        Raises:
            UnsupportedPromptError: when there are neither class vectors nor a text encoder.
        """
        words = Vocabulary.of_names(names, is_thing)
        if self.classes is not None and section in self.classes.sections:
            vectors = self.classes.section(section)
            if len(vectors) == len(words):
                return EncodedVocabulary(words, vectors)
        return EncodedVocabulary.of(self.model, words)

    def finder(self, vocabulary: EncodedVocabulary, released: EntityOptions) -> OpenFinder:
        """Give the function that opens a segmenter of categories.

        Args:
            vocabulary: the categories.
            released: settings for published weights.
        """
        if self.compat is Compat.PAPER:
            return self._opened(vocabulary, paper_entities(self.seen_px))
        inference = replace(released.inference, short_side_px=self.seen_px)
        return self._opened(vocabulary, replace(released, inference=inference))

    def still_finder(self, vocabulary: EncodedVocabulary, released: Callable[[int], EntityOptions]) -> OpenFinder:
        """Give the function that opens a segmenter of categories for stills.

        All answers of the learnable queries count, as in the paper's evaluation of stills: a benchmark ranks them by
        their scores itself. With `is_as_served`, only those that the service shows.

        Args:
            vocabulary: the categories.
            released: settings for published weights, of the short side; ours see frames as our own semantics do.
        """
        if self.compat is Compat.RELEASED:
            return self._opened(vocabulary, released(self.seen_px))
        ours = paper_entities(self.seen_px)
        if self.is_as_served:
            return self._opened(vocabulary, ours)
        return self._opened(vocabulary, replace(released(self.seen_px), inference=ours.inference))

    def _opened(self, vocabulary: EncodedVocabulary, options: EntityOptions) -> OpenFinder:
        def opened(frame_size: tuple[int, int], answer: Answer) -> EntitySegmenter:
            return EntitySegmenter(self.model, vocabulary, frame_size, (answer,), options)

        return opened


Predictor = Callable[[Subject, Path, str, Path, OnFrame], None]


def predict_benchmark(name: str, subject: Subject, root: Path, split: str, output: Path, on_frame: OnFrame) -> None:
    """Run a network over a split, and write what the benchmark's server takes.

    Args:
        name: of the data set, as `predicted_benchmarks` lists them.
        subject: what is run.
        root: the folder in which the data set was unpacked.
        split: of the data set.
        output: the zip that is written (for `burst` and instances of pictures a JSON); a folder for panoptic segments
            and `ref_davis`.
        on_frame: told of every frame.
    Raises:
        InputError: for another name, or a layout with parts missing.
        UnsupportedPromptError: for weights that cannot read what the benchmark asks for.
    """
    if name not in _PREDICTORS:
        raise InputError(f"expected a data set of {', '.join(_PREDICTORS)}, got {name!r}")
    _PREDICTORS[name](subject, root, split, output, on_frame)


def predicted_benchmarks() -> tuple[str, ...]:
    """Give the names that `predict_benchmark` knows."""
    return tuple(_PREDICTORS)


def _burst(subject: Subject, root: Path, split: str, output: Path, on_frame: OnFrame) -> None:
    annotation = read_json(annotation_path(root, split), ("sequences",))
    predict_exemplars(open_burst(root, split), annotation, subject.open_segmenter, output, on_frame)


def _objects(
    subject: Subject,
    root: Path,
    split: str,
    output: Path,
    on_frame: OnFrame,
    source: Callable[[Path, str], LabelVideos],
) -> None:
    predict_objects(source(root, split), subject.open_segmenter, output, on_frame)


def _ref_davis(subject: Subject, root: Path, split: str, output: Path, on_frame: OnFrame) -> None:
    for number in range(_NUM_ANNOTATORS):
        source = open_ref_davis(root, split, number + 1)
        predict_named_objects(source, subject.open_segmenter, output / f"anno_{number}.zip", on_frame)


def _ref_youtube_vos(subject: Subject, root: Path, split: str, output: Path, on_frame: OnFrame) -> None:
    predict_expressions(open_ref_youtube_vos(root, split), subject.open_segmenter, output, on_frame)


def _tracks(subject: Subject, root: Path, split: str, output: Path, on_frame: OnFrame, name: str, section: str) -> None:
    source = open_video_json(root, split, name)
    vocabulary = subject.vocabulary(section, source.vocabulary, (True,) * len(source.vocabulary))
    predict_tracks(source, subject.finder(vocabulary, released_vis()), output, on_frame)


def _instances(
    subject: Subject,
    root: Path,
    split: str,
    output: Path,
    on_frame: OnFrame,
    source: Callable[[Path, str], NumberedPictures],
    section: str,
    max_results: int = 100,
) -> None:
    pictures = source(root, split)
    vocabulary = subject.vocabulary(section, pictures.vocabulary, (True,) * len(pictures.vocabulary))

    def released(short_side_px: int) -> EntityOptions:
        options = released_image(short_side_px)
        return replace(options, ranking=replace(options.ranking, max_results=max_results))

    predict_instances(pictures, subject.still_finder(vocabulary, released), output, on_frame)


def _picture_segments(
    subject: Subject,
    root: Path,
    split: str,
    output: Path,
    on_frame: OnFrame,
    source: Callable[[Path, str], MappedPictures],
    section: str,
) -> None:
    pictures = source(root, split)
    vocabulary = subject.vocabulary(section, pictures.vocabulary, pictures.categories.is_thing)
    predict_picture_segments(pictures, subject.still_finder(vocabulary, released_image_panoptic), output, on_frame)


def _label_pictures(
    subject: Subject,
    root: Path,
    split: str,
    output: Path,
    on_frame: OnFrame,
    source: Callable[[Path, str], LabelPictures],
    section: str,
) -> None:
    pictures = source(root, split)
    vocabulary = subject.vocabulary(section, pictures.vocabulary, (False,) * len(pictures.vocabulary))
    predict_picture_classes(pictures, subject.still_finder(vocabulary, released_image), output, on_frame)


def _vipseg(subject: Subject, root: Path, split: str, output: Path, on_frame: OnFrame) -> None:
    source = VipSeg(root, split)
    vocabulary = subject.vocabulary("vipseg", source.vocabulary, source.is_thing)
    predict_segments(source, subject.finder(vocabulary, released_vps()), output, on_frame)


def _vspw(subject: Subject, root: Path, split: str, output: Path, on_frame: OnFrame) -> None:
    source = Vspw(root, split)
    vocabulary = subject.vocabulary("vipseg", source.vocabulary, (False,) * len(source.vocabulary))
    predict_classes(source, subject.finder(vocabulary, released_vss()), output, on_frame)


_PREDICTORS: dict[str, Predictor] = {
    "ade20k": partial(_label_pictures, source=open_ade20k, section="ade20k"),
    "ade20k_instances": partial(
        _instances, source=partial(Ade20kSegments, with_stuff=False), section="ade20k_instances"
    ),
    "ade20k_panoptic": partial(_picture_segments, source=partial(Ade20kSegments, with_stuff=True), section="ade20k"),
    "burst": _burst,
    "camvid": partial(_label_pictures, source=open_camvid, section="camvid"),
    "coco_instances": partial(_instances, source=partial(open_coco_instances, keeps_empty=True), section="coco"),
    "coco_panoptic": partial(_picture_segments, source=CocoPanoptic, section="coco_panoptic"),
    "davis2017": partial(_objects, source=open_davis2017),
    "lvis": partial(
        _instances, source=partial(open_lvis, keeps_empty=True), section="lvis", max_results=MAX_RESULTS_LVIS
    ),
    "mose": partial(_objects, source=open_mose),
    "ovis": partial(_tracks, name="ovis", section="ovis"),
    "ref_davis": _ref_davis,
    "ref_youtube_vos": _ref_youtube_vos,
    "viposeg": partial(_objects, source=open_viposeg),
    "vipseg": _vipseg,
    "vspw": _vspw,
    "youtube_vos2018": partial(_objects, source=open_youtube_vos),
    "ytvis2019": partial(_tracks, name="ytvis2019", section="ytvis19"),
    "ytvis2021": partial(_tracks, name="ytvis2021", section="ytvis21"),
}
