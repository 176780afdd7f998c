"""Results on disk, in the formats that other tools read; docs/exports.md describes each.

`open_export` gives the `ResultSink` for a format; every one takes frames as they come, and memory does not grow with
the length of the video.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from univs_service.exports.coco import CocoSink
from univs_service.exports.cvat import CvatSink
from univs_service.exports.cvat_tracks import CvatTracksSink
from univs_service.exports.document import (
    FrameRecord,
    JsonSink,
    ResultsDocument,
    VideoDescription,
)
from univs_service.exports.formats import (
    FORMATS,
    ExportFormat,
    FormatInfo,
    check_name,
    format_of,
    info_of,
    read_format,
)
from univs_service.exports.geojson import GeoJsonSink
from univs_service.exports.indexed_png import IndexedPngSink
from univs_service.exports.label_studio import FrameAddress, LabelStudioSink, LabelStudioVideoSink
from univs_service.exports.masks import decode_mask, encode_mask
from univs_service.exports.names import NamedSink, read_names
from univs_service.exports.overlay import OverlaySink
from univs_service.exports.panoptic import PanopticSink
from univs_service.exports.picture import PictureSink
from univs_service.exports.regions import RegionSink
from univs_service.exports.sink import ExportError, ResultSink
from univs_service.exports.youtube_vis import YouTubeVisSink

__all__ = [
    "FORMATS",
    "ExportError",
    "ExportFormat",
    "FormatInfo",
    "FrameAddress",
    "FrameRecord",
    "IndexedPngSink",
    "JsonSink",
    "OverlaySink",
    "ResultSink",
    "ResultsDocument",
    "VideoDescription",
    "decode_mask",
    "encode_mask",
    "info_of",
    "open_export",
    "read_format",
    "read_names",
]


def open_export(
    path: Path,
    video: VideoDescription,
    kind: ExportFormat | None = None,
    *,
    names: Mapping[int, str] | None = None,
    frames: FrameAddress | None = None,
) -> ResultSink:
    """Give the sink for a format.

    Args:
        path: of the file, folder or archive to write.
        video: what the masks belong to.
        kind: the format; when left out, the name tells.
        names: of objects, by id, for those that have none or shall have another.
        frames: where pictures of the frames are, for formats that refer to them; `<name of the video>/00000.jpg`, ...
            when left out.
    Raises:
        ExportError: for a name that does not tell, or tells something else than `kind`.
    """
    kind = kind or format_of(path)
    check_name(path, kind)
    sink: ResultSink
    match kind:
        case ExportFormat.JSON:
            sink = JsonSink(path, video)
        case ExportFormat.OVERLAY:
            sink = OverlaySink(path, Fraction(video.frame_rate) if video.frame_rate else None)
        case ExportFormat.PICTURE:
            sink = PictureSink(path)
        case _:
            sink = RegionSink(_open_regions(path, video, kind, frames))
    return NamedSink(sink, names) if names else sink


def _open_regions(path: Path, video: VideoDescription, kind: ExportFormat, frames: FrameAddress | None) -> ResultSink:
    """Give the sink for a format that knows regions with an id and a category, and nothing else."""
    stem = Path(video.name).stem
    sink: ResultSink
    match kind:
        case ExportFormat.COCO_RLE | ExportFormat.COCO_RLE_RAW:
            sink = CocoSink(path, video, is_compressed=kind is ExportFormat.COCO_RLE)
        case ExportFormat.YOUTUBE_VIS:
            sink = YouTubeVisSink(path, stem, video)
        case ExportFormat.DAVIS:
            sink = IndexedPngSink(path, stem)
        case ExportFormat.PANOPTIC:
            sink = PanopticSink(path, stem, video)
        case ExportFormat.POLYGONS:
            sink = GeoJsonSink(path, video)
        case ExportFormat.CVAT:
            sink = CvatSink(path, video)
        case ExportFormat.CVAT_TRACKS:
            sink = CvatTracksSink(path, video)
        case ExportFormat.LABEL_STUDIO:
            sink = LabelStudioSink(path, video, frames or FrameAddress(f"{stem}/", digits=5, suffix=".jpg"))
        case ExportFormat.LABEL_STUDIO_VIDEO:
            sink = LabelStudioVideoSink(path, video)
        case _:
            raise AssertionError(f"{kind} is opened by `open_export`")
    return sink
