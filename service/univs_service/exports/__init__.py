"""Results on disk: one JSON file, a folder of indexed PNG, or a film with the masks painted over.

`open_export` chooses by the name; every kind is a `ResultSink` that takes frames as they come.
"""

from fractions import Fraction
from pathlib import Path

from univs_service.exports.document import (
    FrameRecord,
    JsonSink,
    ResultsDocument,
    VideoDescription,
)
from univs_service.exports.indexed_png import IndexedPngSink
from univs_service.exports.masks import decode_mask, encode_mask
from univs_service.exports.overlay import OverlaySink
from univs_service.exports.sink import ExportError, ResultSink

__all__ = [
    "ExportError",
    "FrameRecord",
    "IndexedPngSink",
    "JsonSink",
    "OverlaySink",
    "ResultSink",
    "ResultsDocument",
    "VideoDescription",
    "decode_mask",
    "encode_mask",
    "open_export",
]


def open_export(path: Path, video: VideoDescription) -> ResultSink:
    """Give the sink that a path asks for: `.json`, `.mp4`, or a folder (no suffix) for indexed PNG.

    Raises:
        ExportError: for any other suffix.
    """
    match path.suffix.lower():
        case ".json":
            return JsonSink(path, video)
        case ".mp4":
            return OverlaySink(path, Fraction(video.frame_rate) if video.frame_rate else None)
        case "":
            return IndexedPngSink(path)
        case suffix:
            raise ExportError(
                f"an output must be a .json file, an .mp4 file or a folder (a name without a dot), "
                f"got {suffix!r} in {path}"
            )
