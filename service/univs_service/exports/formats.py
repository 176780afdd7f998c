"""The kinds of export there are, and which one a file name asks for."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from univs_service.exports.sink import ExportError


class ExportFormat(StrEnum):
    """Name of a kind of export, on the command line and in addresses."""

    JSON = "json"
    COCO_RLE = "coco_rle"
    COCO_RLE_RAW = "coco_rle_raw"
    YOUTUBE_VIS = "ytvis"
    DAVIS = "davis"
    PANOPTIC = "panoptic"
    POLYGONS = "polygons"
    OVERLAY = "overlay"
    PICTURE = "picture"
    CVAT = "cvat"
    CVAT_TRACKS = "cvat_tracks"
    LABEL_STUDIO = "label_studio"
    LABEL_STUDIO_VIDEO = "label_studio_video"


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """What there is to know of a kind of export before it is made."""

    format: ExportFormat
    title: str
    suffix: str  # of the file; `.zip` for those that are folders
    media_type: str
    about: str
    is_folder: bool = False
    needs_image: bool = False  # the frames themselves
    other_suffixes: tuple[str, ...] = ()  # that a file may have as well


_JSON, _XML, _ZIP = "application/json", "application/xml", "application/zip"

FORMATS = (
    FormatInfo(ExportFormat.JSON, "UniVS JSON", ".json", _JSON, "everything there is, masks as COCO run lengths"),
    FormatInfo(
        ExportFormat.OVERLAY,
        "Film",
        ".mp4",
        "video/mp4",
        "the video with masks and names painted over",
        needs_image=True,
    ),
    FormatInfo(
        ExportFormat.PICTURE,
        "Picture",
        ".png",
        "image/png",
        "the last frame with masks and names painted over",
        needs_image=True,
        other_suffixes=(".jpg", ".jpeg", ".webp"),
    ),
    FormatInfo(ExportFormat.COCO_RLE, "COCO", ".json", _JSON, "frames as images, compressed run lengths"),
    FormatInfo(ExportFormat.COCO_RLE_RAW, "COCO, raw", ".json", _JSON, "the same, run lengths as plain numbers"),
    FormatInfo(
        ExportFormat.YOUTUBE_VIS, "YouTube-VIS", ".zip", _ZIP, "results.json and instances.json", is_folder=True
    ),
    FormatInfo(
        ExportFormat.DAVIS, "DAVIS", ".zip", _ZIP, "indexed PNG, pixel value = object, at most 255", is_folder=True
    ),
    FormatInfo(
        ExportFormat.PANOPTIC,
        "COCO panoptic",
        ".zip",
        _ZIP,
        "PNG and segments_info, one object a pixel",
        is_folder=True,
    ),
    FormatInfo(ExportFormat.POLYGONS, "GeoJSON", ".geojson", "application/geo+json", "exact polygons with holes"),
    FormatInfo(ExportFormat.CVAT, "CVAT, masks", ".xml", _XML, "every mask as a shape of its frame"),
    FormatInfo(ExportFormat.CVAT_TRACKS, "CVAT, tracks", ".xml", _XML, "one polygon track an object, simplified"),
    FormatInfo(ExportFormat.LABEL_STUDIO, "Label Studio, masks", ".json", _JSON, "one task a frame, brush regions"),
    FormatInfo(
        ExportFormat.LABEL_STUDIO_VIDEO, "Label Studio, tracks", ".json", _JSON, "one task, boxes through the video"
    ),
)

_BY_SUFFIX = {
    ".json": ExportFormat.JSON,
    ".mp4": ExportFormat.OVERLAY,
    ".png": ExportFormat.PICTURE,
    ".jpg": ExportFormat.PICTURE,
    ".jpeg": ExportFormat.PICTURE,
    ".webp": ExportFormat.PICTURE,
    ".geojson": ExportFormat.POLYGONS,
    ".xml": ExportFormat.CVAT,
    ".zip": ExportFormat.DAVIS,
    "": ExportFormat.DAVIS,
}


def read_format(name: str) -> ExportFormat:
    """Read the name of a kind.

    Raises:
        ExportError: for a name that is none, with those that are.
    """
    try:
        return ExportFormat(name)
    except ValueError:
        known = ", ".join(kind.value for kind in ExportFormat)
        raise ExportError(f"expected one of the formats {known}; got {name!r}") from None


def info_of(kind: ExportFormat) -> FormatInfo:
    """Give what is known of a kind."""
    return next(info for info in FORMATS if info.format == kind)


def format_of(path: Path) -> ExportFormat:
    """Give the kind that a file name asks for.

    Raises:
        ExportError: for a suffix that asks for none.
    """
    suffix = path.suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise ExportError(
            "expected an output that ends in .json, .mp4, .png, .jpg, .webp, .geojson, .xml or .zip, or a folder (a "
            f"name without a dot), got {suffix!r} in {path}"
        )
    return _BY_SUFFIX[suffix]


def check_name(path: Path, kind: ExportFormat) -> None:
    """Refuse a file name whose suffix says something else than the kind.

    Raises:
        ExportError: naming the suffix.
    """
    info = info_of(kind)
    suffixes = ("", ".zip") if info.is_folder else (info.suffix, *info.other_suffixes)
    if path.suffix.lower() not in suffixes:
        wanted = "a folder (a name without a dot) or a .zip file" if info.is_folder else f"a {info.suffix} file"
        raise ExportError(f"expected {wanted} for {kind.value}, got {path.suffix!r} in {path}; rename it")
