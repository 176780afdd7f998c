"""One frame under our own judge: each object for itself is judged, remembered, and its record brought up to date."""

from collections.abc import Mapping, Sequence

from univs.inference.framing import Framing
from univs.inference.judge_alone import Judgement, judge_alone
from univs.inference.memory_writing import write_judged
from univs.inference.options import InferenceOptions
from univs.inference.tracks import Track
from univs.inference.video_memory import VideoMemory
from univs.inference.window import WindowFrame
from univs.object_decoding import ObjectPrediction
from univs.types import ClipFeatures, VisualPrompt


def judge_frame(
    frame: WindowFrame,
    features: ClipFeatures,
    tracks: Sequence[Track],
    prediction: ObjectPrediction,
    given: Mapping[int, Sequence[VisualPrompt]],
    memory: VideoMemory,
    framing: Framing,
    options: InferenceOptions,
) -> list[Judgement]:
    """Decide on all objects of a frame; what was seen is in their tracks and in the memory afterwards.

    Args:
        frame: the frame.
        features: of the frame.
        tracks: O objects.
        prediction: of the decoder, for the objects in this order.
        given: by object id, what the user showed in this frame.
        memory: tokens of the objects.
        framing: sizes of the video.
        options: thresholds.
    """
    presence = prediction.presence_logits
    judgements = [
        judge_alone(
            prediction.mask_logits[0, row, 0],
            prediction.embeddings[0, row],
            None if presence is None else presence[0, row, 0],
            list(track.embeddings),
            track.prior,
            frame.time_s - track.last_seen_s,
            track.is_whole,
            given.get(track.object_id, []),
            framing,
            memory.canvas,
            options,
        )
        for row, track in enumerate(tracks)
    ]
    prompted = {object_id for object_id, shown in given.items() if shown}
    write_judged(memory.pool, features, tracks, judgements, prompted, memory.sampler, options.minimum_quality)
    for row, (track, judgement) in enumerate(zip(tracks, judgements, strict=True)):
        if judgement.is_visible:
            track.see(frame.index, frame.time_s, prediction.embeddings[0, row, 0], judgement.prior)
        else:
            track.miss()
        track.score, track.presence, track.is_whole = judgement.score, judgement.presence, judgement.is_whole
    return judgements
