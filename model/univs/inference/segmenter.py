"""One video on its way through the network: prompts and frames in, masks out, memory of a fixed size per object.

`VideoSegmenter` holds the state of a video; the network holds none. A window reads as the paper's streaming process:
introduce what was prompted, recall what is remembered, decode, judge, remember, answer.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional

from univs.errors import PromptError, SnapshotError, UnknownObjectError, UnsupportedPromptError
from univs.inference.answers import mask_result
from univs.inference.decoding import decode_tracks
from univs.inference.frame_window import FrameWindow
from univs.inference.framing import Framing
from univs.inference.introduction import Introduction, visual_only
from univs.inference.judge_together import judge_together, known_of
from univs.inference.judged_frame import judge_frame
from univs.inference.memory_writing import write_window
from univs.inference.options import InferenceOptions, Judge, paper
from univs.inference.prompting import check_prompt
from univs.inference.shared_features import SharedFeatures
from univs.inference.stuff import StuffCategories, label_pixels
from univs.inference.tracks import Track
from univs.inference.video_memory import VideoMemory
from univs.inference.words import words_of
from univs.memory_pool import MemoryPool
from univs.model import UniVS
from univs.object_decoding import ObjectPrediction
from univs.prompt_encoder.text import TextFeatures
from univs.types import (
    CategoryPrompt,
    Clip,
    ClipFeatures,
    Frame,
    FrameResult,
    MaskPrompt,
    MaskResult,
    Prompt,
    TextPrompt,
)


class VideoSegmenter:
    """Segment one video, frame after frame.

    Args:
        model: the network, in evaluation mode; many segmenters may share it.
        options: how it is run; our own semantics when left out.
        frame_size: (height, width) of every frame, in pixels.
        stuff: which of the objects are stuff, if some are; they need `Judge.COMPETITION`.
    """

    def __init__(
        self,
        model: UniVS,
        options: InferenceOptions | None,
        frame_size: tuple[int, int],
        stuff: StuffCategories | None = None,
    ) -> None:
        self.model = model
        self.options = options or paper()
        self.stuff = stuff
        self.framing = Framing.fit(frame_size, self.options.short_side_px, self.options.long_side_max_px)
        self._memory = VideoMemory.open(model, self.options, self.framing)
        self._tracks: dict[int, Track] = {}
        self._texts: dict[int, TextFeatures] = {}
        self._pending: dict[int, dict[int, list[Prompt]]] = defaultdict(lambda: defaultdict(list))
        self._window = FrameWindow(model, self.options, self.framing)
        self._keys_before: Tensor | None = None  # [1, h, w, D] of the newest frame, where the network looks back
        self._num_seen = 0  # frames of the video so far, as far as the memory of looks reaches

    @property
    def pool(self) -> MemoryPool:
        """Give the tokens that are remembered of the objects."""
        return self._memory.pool

    @property
    def stuff(self) -> StuffCategories | None:
        """Say which of the objects are stuff; set it anew when more of them are prompted."""
        return self._stuff

    @stuff.setter
    def stuff(self, stuff: StuffCategories | None) -> None:
        if stuff is not None and self.options.judge is not Judge.COMPETITION:
            raise ValueError(
                f"stuff competes for pixels with the other objects, got judge {self.options.judge.value!r}: "
                "choose judge=Judge.COMPETITION"
            )
        self._stuff = stuff

    @property
    def next_frame(self) -> int:
        """Say which frame is to be given next; set it to leave out frames that cannot be had."""
        return self._window.next_frame

    @next_frame.setter
    def next_frame(self, frame_index: int) -> None:
        self._window.next_frame = frame_index

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Name the objects that are followed, ascending; those prompted for a later frame are not yet."""
        return tuple(sorted(self._tracks))

    @property
    def num_bytes(self) -> int:
        """Count the bytes kept between steps: `docs/memory.md` has the formula."""
        objects = self.pool.num_bytes + sum(track.num_bytes for track in self._tracks.values())
        before = 0 if self._keys_before is None else self._keys_before.numel() * self._keys_before.itemsize
        texts = sum(text.num_bytes for text in self._texts.values())
        return objects + texts + before + self._window.num_bytes + self._num_waiting_bytes

    @property
    def _num_waiting_bytes(self) -> int:
        """Count the bytes of masks that were given for frames to come."""
        said = chain.from_iterable(chain.from_iterable(prompts.values()) for prompts in self._pending.values())
        return sum(prompt.mask.nbytes for prompt in said if isinstance(prompt, MaskPrompt))

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Give the records of the objects that are followed, in ascending id."""
        return tuple(self._tracks[object_id] for object_id in self.object_ids)

    @property
    def keys_before(self) -> Tensor | None:
        """Give what the next frame is matched with, [1, h, w, D]; None where the network does not look back."""
        return self._keys_before

    @property
    def first_waiting_frame(self) -> int:
        """Say which frame a snapshot goes on with: the first that has no result yet, `next_frame` when none waits."""
        return self._window.frames[0].index if self._window.frames else self.next_frame

    @property
    def first_open_frame(self) -> int:
        """Say from which frame on prompts are taken; the frames of a restored window that come again are not open."""
        return self.next_frame + max(0, self._window.num_known - len(self._window))

    @property
    def num_known(self) -> int:
        """Count the waiting frames whose masks a window has already begun to add up."""
        return self._window.num_known

    @property
    def num_seen(self) -> int:
        """Count the frames so far that had a window, up to the number of looks remembered."""
        return self._num_seen

    def share(self, features: SharedFeatures) -> None:
        """Compute no features that another segmenter of this video has computed in the same step, and the reverse."""
        self._window.shared = features

    def add_prompt(self, prompt: Prompt) -> None:
        """Take a prompt; it counts from its own frame on.

        Raises:
            PromptError: for a frame that has passed: restore an earlier snapshot, or start again from that frame.
            PromptOutOfRangeError: for one that does not lie in the frame.
            UnsupportedPromptError: for a kind that these weights cannot serve.
        """
        match prompt:
            case CategoryPrompt():
                raise UnsupportedPromptError(
                    "expected points, a box, a mask, a scribble or a text, got CategoryPrompt: "
                    "a segmenter follows single objects; name one of them by a text"
                )
            case TextPrompt():
                self._read(prompt)
                frame_index = prompt.frame_index
            case _:
                check_prompt(prompt, self.framing.frame)
                frame_index = prompt.frame_index
        if frame_index < self.next_frame:
            raise PromptError(
                f"expected a prompt for frame {self.next_frame} or later, got frame {frame_index}, "
                "which has passed; start a new run from that frame"
            )
        if frame_index < self.first_open_frame:
            return  # the restored state holds it: its frame was in a window before
        self._pending[frame_index][prompt.object_id].append(prompt)

    def remove_object(self, object_id: int) -> None:
        """Forget an object, its memory and the prompts that wait for it.

        Raises:
            UnknownObjectError: for an object that no prompt named.
        """
        waiting = [prompts for prompts in self._pending.values() if object_id in prompts]
        if object_id not in self._tracks and not waiting:
            raise UnknownObjectError(f"expected one of the objects {list(self.object_ids)}, got {object_id}")
        for prompts in waiting:
            del prompts[object_id]
        self._texts.pop(object_id, None)
        if self._tracks.pop(object_id, None) is not None and object_id in self.pool.object_ids:
            self.pool.forget(object_id)
        if not self._tracks:
            self._keys_before = None  # whoever comes next was not in the frame before

    @torch.inference_mode()
    def step(self, clip: Clip) -> list[FrameResult]:
        """Segment the next frames, in order.

        Returns:
            Results of frames whose windows are complete; with windows of one frame, of all frames given.
        Raises:
            ValueError: for frames that are not the next ones, or of another size.
        """
        results = []
        for frame in clip.frames:
            self._window.receive(frame)
            if self._window.is_full:
                self._look()
                results += self._answer(self.options.clip_stride)
        return results

    def look_ahead(self, frame: Frame) -> None:
        """Begin to look at the frame after the next one, on another thread, while `step` decodes the next one.

        Call it just before `step`. It changes no result; it pays where a CPU has cores to spare (`univs.cores`).
        """
        if self._tracks or any(prompts for index, prompts in self._pending.items() if index <= frame.index):
            self._window.expect(frame)

    @torch.inference_mode()
    def finish(self) -> list[FrameResult]:
        """End the video, or break it off: give the results of frames that waited for windows which will not come.

        Frames may follow, in windows of their own: what waited for a later look was answered without it.
        """
        if len(self._window) > self._window.num_known:
            self._look()
        results = self._answer(len(self._window))
        for track in self._tracks.values():
            track.leave(self.options.clip_length)
        return results

    def skip_to(self, frame_index: int) -> None:
        """Begin at a later frame; only before any object is followed."""
        if self._tracks or self._window.frames or frame_index < self.next_frame:
            raise ValueError(f"can only skip forward before the first object, from frame {self.next_frame}")
        self._window.next_frame = frame_index

    def skip(self) -> None:
        """Go past the next frame, which has no picture; its prompts count from the frame after it.

        Raises:
            ValueError: while frames wait for a window: `finish` gives their results first.
        """
        if self._window.frames:
            raise ValueError(f"expected no frame to wait for a window, got {len(self._window)}; call finish() first")
        skipped = self._pending.pop(self.next_frame, {})
        self._window.next_frame += 1
        for object_id, prompts in skipped.items():
            self._pending[self.next_frame][object_id][:0] = [
                replace(prompt, frame_index=self.next_frame)
                for prompt in prompts
                if not isinstance(prompt, CategoryPrompt)  # add_prompt() takes none
            ]

    @torch.inference_mode()
    def resume(
        self,
        next_frame: int,
        pool: MemoryPool,
        tracks: Sequence[Track],
        num_known: int = 0,
        num_seen: int = 0,
        keys_before: Tensor | None = None,
    ) -> None:
        """Take over a state that was saved; `univs.inference.snapshot` is the caller."""
        if pool.shape != self.pool.shape:
            raise SnapshotError(f"expected a memory pool of {self.pool.shape}, got {pool.shape}")
        self._memory = replace(self._memory, pool=pool)
        self._tracks = {track.object_id: track for track in tracks}
        self._window.next_frame, self._window.num_known = next_frame, num_known
        self._num_seen = num_seen
        self._keys_before = keys_before
        self._texts = {track.object_id: self.model.encode_text([track.text]) for track in tracks if track.text}

    def _read(self, prompt: TextPrompt) -> None:
        """Encode an expression, once for the whole video."""
        if not prompt.text.strip():
            raise PromptError("expected a text that names an object, got an empty one")
        self._texts[prompt.object_id] = self.model.encode_text([prompt.text])

    def _look(self) -> None:
        """Run one window: what its frames show is in the tracks afterwards."""
        prompts = {
            frame.index: self._pending.pop(frame.index, {}) for frame in self._window.frames[self._window.num_known :]
        }
        if self._tracks or any(prompts.values()):
            features = self._window.features(words_of(self.model, [text.sentences for text in self._texts.values()]))
            introduction = Introduction(
                self.pool, self._memory.canvas, self._memory.sampler, self.framing, self.options
            )
            for position, frame in enumerate(self._window.frames):
                for object_id, given in prompts.get(frame.index, {}).items():
                    track = self._tracks.get(object_id)
                    self._tracks[object_id] = introduction.introduce(track, object_id, given, features, position)
            if self.options.judge is Judge.COMPETITION:
                self._look_together(features)
            else:
                self._look_alone(features, prompts[self._window.frames[-1].index])
        else:
            self._keys_before = None  # the frame was not looked at
        self._num_seen = self._seen_with_window()
        self._window.num_known = len(self._window)

    def _decode(self, features: ClipFeatures, tracks: Sequence[Track]) -> ObjectPrediction:
        before = self._keys_before if self.options.clip_length == 1 else None
        return decode_tracks(self.model, features, tracks, self.pool, self._texts, self.options, before)

    def _look_alone(self, features: ClipFeatures, prompts: dict[int, list[Prompt]]) -> None:
        """Decode one frame, judge each object for itself, and remember what was seen."""
        tracks = self.tracks
        prediction = self._decode(features, tracks)
        given = {object_id: visual_only(said) for object_id, said in prompts.items()}
        frame = self._window.frames[-1]
        judgements = judge_frame(frame, features, tracks, prediction, given, self._memory, self.framing, self.options)
        for track, judgement in zip(tracks, judgements, strict=True):
            track.newest_mask = judgement.mask
        keys = self.model.look_back_keys(features)
        self._keys_before = keys if keys is None or not self.options.half_precision_memory else keys.half()

    def _look_together(self, features: ClipFeatures) -> None:
        """Recall what the window's frames already show, decode them all, and let the objects compete."""
        tracks = self.tracks
        for track in tracks:
            track.widen(len(self._window))
        num_seen = self._seen_with_window()
        is_new_start = self._window.num_known == 0 and self.options.clip_stride < self.options.clip_length
        num_sampled = max(1, self._window.num_known)
        write_window(self.pool, features, tracks, num_sampled, self._memory.sampler, is_new_start=is_new_start)
        prediction = self._decode(features, tracks)
        indices = [frame.index for frame in self._window.frames]
        stuff = self._find_stuff(features)
        verdicts = judge_together(
            [known_of(track, indices, num_seen, stuff.get(track.object_id)) for track in tracks],
            prediction.mask_logits[0],
            prediction.embeddings[0],
            self.framing,
            self.options.consistency_threshold,
        )
        for track, verdict in zip(tracks, verdicts, strict=True):
            track.logits, track.embeddings = verdict.logits, verdict.embeddings
            track.score, track.presence = verdict.score, verdict.presence

    def _seen_with_window(self) -> int:
        """Count the frames so far with those of the window, up to the number of looks remembered."""
        num_new = len(self._window) - self._window.num_known
        return min(self._num_seen + num_new, self.pool.shape.num_frames)

    def _find_stuff(self, features: ClipFeatures) -> dict[int, Tensor]:
        """Find the pixels of each object that is stuff: bool [T, H, W] over the padded picture."""
        if self._stuff is None or not self._stuff.category_of.keys() & self._tracks.keys():
            return {}
        labels = label_pixels(self.model, features, self._stuff.vectors, self.framing)
        return {object_id: labels == row for object_id, row in self._stuff.category_of.items()}

    def _answer(self, num_frames: int) -> list[FrameResult]:
        """Give the results of the first frames of the window, which then leave it."""
        results = []
        for position, frame in enumerate(self._window.frames[:num_frames]):
            objects = tuple(
                self._answer_object(track, frame.index, position)
                for track in self.tracks
                if track.first_frame <= frame.index
            )
            results.append(FrameResult(frame.index, frame.pts, frame.time_base, self.framing.frame, objects))
        self._window.leave(num_frames)
        for track in self._tracks.values():
            track.leave(num_frames)
        return results

    def _answer_object(self, track: Track, frame_index: int, position: int) -> MaskResult:
        mask = track.newest_mask
        if track.logits is not None:
            logits = track.logits[position]
            mask = self.framing.enlarge(logits[None])[0] > 0
            prior = functional.adaptive_avg_pool2d((logits > 0).to(logits.dtype)[None], self._memory.canvas.grid)[0]
            track.show(frame_index, prior, is_visible=bool(mask.any()))
        assert mask is not None, "a window was looked at before it is answered"
        result = mask_result(
            track,
            frame_index,
            mask,
            score=track.score,
            presence=track.presence,
            state=track.state(frame_index, self.options.lost_after_frames),
        )
        num_waiting = sum(len(prompts.get(track.object_id, ())) for prompts in self._pending.values())
        return replace(result, revision=track.revision + num_waiting)
