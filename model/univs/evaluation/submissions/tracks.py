"""`results.json` of YouTube-VIS and OVIS: every predicted track with its class, score and masks, alone or in a zip."""

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from univs.errors import InputError
from univs.evaluation.submissions.archive import Archive
from univs.evaluation.video_instances import ScoredTrack
from univs.rle import Rle

_NAME = "results.json"

# What JSON holds: lists and mappings whose leaves vary.
_Json = dict[str, Any]


def write_tracks(path: Path, tracks: Iterable[ScoredTrack], num_frames: Mapping[int, int]) -> None:
    """Write tracks for the server: a zip of `results.json` where the path ends in .zip, else the JSON itself.

    Args:
        path: the file to write; an existing one is replaced once the new one is complete.
        tracks: predictions of all videos; a frame without the object is null.
        num_frames: frames of each video of the split, by video id, as in its JSON.
    Raises:
        InputError: for a video that the split does not have, or a track of another length.
    """
    content = json.dumps([_entry(track, num_frames) for track in tracks], separators=(",", ":")).encode("ascii")
    if path.suffix == ".zip":
        with Archive(path) as archive:
            archive.add(_NAME, content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def read_tracks(path: Path) -> tuple[ScoredTrack, ...]:
    """Read a file of `write_tracks`, or of another program in that format.

    Raises:
        InputError: for a file that is missing or not in the format.
    """
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                content = archive.read(_NAME)
        else:
            content = path.read_bytes()
        return tuple(_track(entry) for entry in json.loads(content))
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"expected {path} to hold {_NAME}, a list of tracks with video_id, category_id, score and segmentations; "
            f"got {error!r}"
        ) from error


def _entry(track: ScoredTrack, num_frames: Mapping[int, int]) -> _Json:
    if num_frames.get(track.video_id) != len(track.masks):
        raise InputError(
            f"expected {num_frames.get(track.video_id, 'no')} masks for video {track.video_id}, got "
            f"{len(track.masks)}; give one mask or None for each frame that the split's JSON lists"
        )
    return {
        "video_id": track.video_id,
        "category_id": track.category_id,
        "score": float(track.score),
        "segmentations": [
            None if mask is None else {"size": list(mask.size), "counts": mask.counts} for mask in track.masks
        ],
    }


def _track(entry: _Json) -> ScoredTrack:
    masks = tuple(
        None if mask is None else Rle((int(mask["size"][0]), int(mask["size"][1])), str(mask["counts"]))
        for mask in entry["segmentations"]
    )
    return ScoredTrack(int(entry["video_id"]), int(entry["category_id"]), float(entry["score"]), masks)
