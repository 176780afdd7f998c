"""The state of a stream of entities as bytes: what a restarted process needs to go on with the same answers.

It holds the memory pool, the entities, the segments given so far, and the counters. Frames of the window are not in it:
a restored segmenter asks for them again by its `next_frame`. Pixels are never in it. Of the vocabulary only the names
are: it is given again, with the names that were added since.
"""

import json
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

from univs.errors import SnapshotError
from univs.inference.entities.entity import Entity
from univs.inference.entities.options import Answer, EntityOptions, Tracker
from univs.inference.entities.panoptic import SegmentLedger
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.state import StreamState, WaitingFrame
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.tracks import Track
from univs.memory_pool import MemoryPool
from univs.model import UniVS
from univs.rle import Rle
from univs.types import Segment, SegmentMap

_FORMAT = "univs-entities-1"
_TRACK_FIELDS = (
    "object_id",
    "last_seen",
    "last_seen_s",
    "is_visible",
    "first_frame",
    "prompted_frame",
    "score",
    "presence",
)
_ENTITY_FIELDS = ("num_scored", "quality_sum", "num_seen", "num_reported")
_STATE_FIELDS = ("next_id", "num_windows", "num_slots")


def take(segmenter: EntitySegmenter) -> bytes:
    """Give the state of a segmenter; equal states give equal bytes."""
    state = segmenter.state
    header = {
        **_described(segmenter.model, segmenter.options, segmenter.vocabulary),
        "frame_size": segmenter.framing.frame,
        "answers": sorted(segmenter.answers),
        "first_frame": segmenter.first_open_frame,
        "num_known": segmenter.num_known,
        "state": {name: getattr(state, name) for name in _STATE_FIELDS},
        "of_thing": list(state.ledger.of_thing.items()),
        "of_stuff": list(state.ledger.of_stuff.items()),
        "waiting": [_described_frame(frame) for frame in state.waiting],
        "entities": [_described_entity(entity) for entity in segmenter.entities],
    }
    tensors = {"header": _as_tensor(json.dumps(header).encode()), "pool": _as_tensor(segmenter.memory.pool.to_bytes())}
    for number, entity in enumerate(segmenter.entities):
        tensors |= {f"{number}.{name}": tensor.cpu().contiguous() for name, tensor in _tensors(entity).items()}
    return save(tensors)


def restore(blob: bytes, model: UniVS, vocabulary: EncodedVocabulary, options: EntityOptions) -> EntitySegmenter:
    """Give back the segmenter whose state was taken.

    Args:
        blob: of `take`.
        model: the network.
        vocabulary: its categories, with those that were added.
        options: how it was run.
    Raises:
        SnapshotError: for bytes that are no snapshot, or one of another network, other names or other options.
    """
    try:
        tensors = {name: tensor.to(model.device) for name, tensor in load(blob).items()}
        header = json.loads(bytes(tensors["header"].tolist()))
        for name, value in json.loads(json.dumps(_described(model, options, vocabulary))).items():
            if header[name] != value:
                raise SnapshotError(
                    f"expected a snapshot with {name} {value}, got {header[name]}; "
                    "run the video again from its first frame"
                )
        height, width = header["frame_size"]
        answers = [Answer(name) for name in header["answers"]]
        segmenter = EntitySegmenter(model, vocabulary, (height, width), answers, options)
        entities = [_entity(record, tensors, f"{number}.") for number, record in enumerate(header["entities"])]
        state = StreamState(
            entities={entity.object_id: entity for entity in entities},
            waiting=[_frame(record) for record in header["waiting"]],
            ledger=SegmentLedger(dict(header["of_thing"]), dict(header["of_stuff"])),
            **header["state"],
        )
        pool = MemoryPool.from_bytes(bytes(tensors["pool"].tolist()), model.device)
        segmenter.resume(state, pool, header["first_frame"], header["num_known"])
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise SnapshotError(
            f"expected the bytes of a snapshot, got {len(blob)} bytes that are not ({error}); "
            "run the video again from its first frame"
        ) from error
    return segmenter


# What lies in the header is JSON, whose values have no static type.


def _described(model: UniVS, options: EntityOptions, vocabulary: EncodedVocabulary) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "network": model.config.name,
        "options": _described_options(options),
        "names": [list(pair) for pair in zip(vocabulary.names, vocabulary.is_thing, strict=True)],
    }


def _described_options(options: EntityOptions) -> dict[str, Any]:
    described = asdict(options)
    if options.following.tracker is Tracker.PROMPTS:  # older snapshots know no other
        del described["following"]["tracker"]
    return described


def _described_entity(entity: Entity) -> dict[str, Any]:
    own = {name: getattr(entity, name) for name in _ENTITY_FIELDS}
    return {"track": {name: getattr(entity.track, name) for name in _TRACK_FIELDS}, **own}


def _tensors(entity: Entity) -> dict[str, Tensor]:
    track = entity.track
    held = {"embeddings": track.embeddings, "prior": track.prior, "logits": entity.window_logits}
    held |= {"class_slots": entity.class_slots, "left": entity.left}
    return held if entity.reported is None else {**held, "reported": entity.reported}


def _entity(record: dict[str, Any], tensors: dict[str, Tensor], prefix: str) -> Entity:
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    track = Track(embeddings=own["embeddings"], prior=own["prior"], logits=own["logits"], **record.pop("track"))
    return Entity(track, class_slots=own["class_slots"], left=own["left"], reported=own.get("reported"), **record)


def _described_frame(frame: WaitingFrame) -> dict[str, Any]:
    times = [frame.time_base.numerator, frame.time_base.denominator]
    semantic = None if frame.semantic is None else asdict(frame.semantic)
    return {"index": frame.index, "pts": frame.pts, "time_base": times, "semantic": semantic}


def _frame(record: dict[str, Any]) -> WaitingFrame:
    return WaitingFrame(record["index"], record["pts"], Fraction(*record["time_base"]), _map(record["semantic"]))


def _map(record: dict[str, Any] | None) -> SegmentMap | None:
    if record is None:
        return None
    segments = []
    for segment in record["segments"]:
        mask = segment.pop("mask")
        segments.append(Segment(mask=Rle((mask["size"][0], mask["size"][1]), mask["counts"]), **segment))
    return SegmentMap((record["size"][0], record["size"][1]), tuple(segments))


def _as_tensor(blob: bytes) -> Tensor:
    return torch.frombuffer(bytearray(blob), dtype=torch.uint8)
