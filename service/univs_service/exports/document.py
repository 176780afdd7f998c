"""Results as one JSON file: `ResultsDocument` is its schema, `JsonSink` writes it frame by frame.

The file is one object with the keys `format`, `video`, `frames` and `num_frames`; each frame has its line.
Masks are COCO compressed run-length encodings at the size of the frame; `pycocotools.mask.decode` reads them.
A frame that was refined comes again with a higher `revision` in its objects; the later one counts.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from univs_service.exports.files import FileSink
from univs_service.exports.masks import Image
from univs_service.exports.sink import check_ids
from univs_service.messages import FrameResultEvent, ObjectResult, SegmentMapResult

FORMAT = "univs.results.v1"


class VideoDescription(BaseModel):
    """What the masks belong to."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="name of the file, without its folder")
    width: int = Field(description="pixels, rotation applied")
    height: int
    frame_rate: str | None = Field(description="rational, 30000/1001; null when the container does not say")


class FrameRecord(BaseModel):
    """The masks of one frame; times are `pts * time_base` seconds."""

    model_config = ConfigDict(frozen=True)

    frame_index: int
    pts: int
    time_base: str
    size: tuple[int, int] = Field(description="height, width")
    weights: str = Field(description="name of the weights; 'untrained' says that the masks are random")
    warning: str | None = Field(default=None, description="why these answers mean nothing, or little")
    objects: list[ObjectResult]
    semantic: SegmentMapResult | None = Field(default=None, description="a segment for each category, task vss")
    panoptic: SegmentMapResult | None = Field(default=None, description="a segment for each thing, task vps")

    @classmethod
    def from_event(cls, event: FrameResultEvent) -> Self:
        """Keep of a result what does not belong to its transport."""
        return cls(
            frame_index=event.frame_index,
            pts=event.pts,
            time_base=event.time_base,
            size=event.size,
            weights=event.weights,
            warning=event.warning,
            objects=event.objects,
            semantic=event.semantic,
            panoptic=event.panoptic,
        )


class ResultsDocument(BaseModel):
    """The whole file, for reading it back and for its JSON schema."""

    model_config = ConfigDict(frozen=True)

    format: Literal["univs.results.v1"]
    video: VideoDescription
    frames: list[FrameRecord]
    num_frames: int


class JsonSink(FileSink):
    """Write a `ResultsDocument`; the file appears under its name when it is complete."""

    def __init__(self, path: Path, video: VideoDescription) -> None:
        super().__init__(path)
        self._video = video
        self._num_frames = 0

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:  # noqa: ARG002
        """Add one line; a frame may come again."""
        check_ids(result)
        self._add(result)

    def _begin(self) -> None:
        self._text(f'{{"format": "{FORMAT}",\n "video": {self._video.model_dump_json()},\n "frames": [')

    def _add(self, result: FrameResultEvent) -> None:
        self._text(",\n  " if self._num_frames else "\n  ")
        self._text(FrameRecord.from_event(result).model_dump_json())
        self._num_frames += 1

    def _end(self) -> None:
        self._text(f'\n ],\n "num_frames": {self._num_frames}}}\n')
