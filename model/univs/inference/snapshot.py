"""The state of a segmenter as bytes: what a restarted process needs to go on with the same masks.

A snapshot holds the memory pool, the tracks and the counters. Frames that wait for a later window are not in it: a
restored segmenter asks for them again by its `next_frame`, and gives each result once. Prompts for frames to come are
not in it either: they are in the session's log, and are added again. Pixels are never in it.
"""

import json
from dataclasses import asdict

import safetensors
import torch
from safetensors.torch import load, save

from univs.errors import SnapshotError
from univs.inference.options import InferenceOptions
from univs.inference.segmenter import VideoSegmenter
from univs.inference.stuff import StuffCategories
from univs.inference.tracks import Track
from univs.memory_pool import MemoryPool
from univs.model import UniVS

_FORMAT = "univs-snapshot-4"


def take(segmenter: VideoSegmenter) -> bytes:
    """Give the state of a segmenter; equal states give equal bytes."""
    tracks = segmenter.tracks
    header = {
        "format": _FORMAT,
        "network": segmenter.model.config.name,
        "frame_size": segmenter.framing.frame,
        "options": asdict(segmenter.options),
        "next_frame": segmenter.first_waiting_frame,
        "num_known": segmenter.num_known,
        "num_seen": segmenter.num_seen,
        "tracks": [
            {
                "object_id": track.object_id,
                "revision": track.revision,
                "last_seen": track.last_seen,
                "last_seen_s": track.last_seen_s,
                "is_visible": track.is_visible,
                "label": track.label,
                "text": track.text,
                "first_frame": track.first_frame,
                "prompted_frame": track.prompted_frame,
                "is_given": track.is_given,
                "is_whole": track.is_whole,
                "score": track.score,
                "presence": track.presence,
            }
            for track in tracks
        ],
    }
    tensors = {
        "header": _as_tensor(json.dumps(header).encode()),
        "pool": _as_tensor(segmenter.pool.to_bytes()),
    }
    if segmenter.keys_before is not None:
        tensors["keys_before"] = segmenter.keys_before.cpu()
    for number, track in enumerate(tracks):
        tensors[f"{number}.embeddings"] = track.embeddings.cpu()
        tensors[f"{number}.prior"] = track.prior.cpu()
        if track.logits is not None:
            tensors[f"{number}.logits"] = track.logits.cpu().contiguous()
    return save(tensors)


def restore(
    blob: bytes, model: UniVS, options: InferenceOptions, stuff: StuffCategories | None = None
) -> VideoSegmenter:
    """Give back the segmenter whose state was taken.

    Args:
        blob: of `take`.
        model: the network.
        options: how it was run.
        stuff: as it was given to the segmenter; like the options it is not part of the state.
    Raises:
        SnapshotError: for bytes that are no snapshot, or one of another network or other options.
    """
    try:
        tensors = load(blob)
        header = json.loads(bytes(tensors["header"].tolist()))
        expected = {
            "format": _FORMAT,
            "network": model.config.name,
            "options": json.loads(json.dumps(asdict(options))),
        }
        for name, value in expected.items():
            if header[name] != value:
                raise SnapshotError(
                    f"expected a snapshot with {name} {value}, got {header[name]}; "
                    "run the session again from its first frame"
                )
        height, width = header["frame_size"]
        segmenter = VideoSegmenter(model, options, (height, width), stuff)
        pool = MemoryPool.from_bytes(bytes(tensors["pool"].tolist()), model.device)
        tracks = [
            Track(
                object_id=record["object_id"],
                embeddings=tensors[f"{number}.embeddings"].to(model.device),
                prior=tensors[f"{number}.prior"].to(model.device),
                revision=record["revision"],
                last_seen=record["last_seen"],
                last_seen_s=record["last_seen_s"],
                is_visible=record["is_visible"],
                label=record["label"],
                text=record["text"],
                first_frame=record["first_frame"],
                prompted_frame=record["prompted_frame"],
                is_given=record["is_given"],
                is_whole=record["is_whole"],
                score=record["score"],
                presence=record["presence"],
                logits=tensors[f"{number}.logits"].to(model.device) if f"{number}.logits" in tensors else None,
            )
            for number, record in enumerate(header["tracks"])
        ]
        before = tensors["keys_before"].to(model.device) if "keys_before" in tensors else None
        segmenter.resume(header["next_frame"], pool, tracks, header["num_known"], header["num_seen"], before)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise SnapshotError(
            f"expected the bytes of a snapshot, got {len(blob)} bytes that are not ({error}); "
            "run the session again from its first frame"
        ) from error
    return segmenter


def _as_tensor(blob: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(blob), dtype=torch.uint8)
