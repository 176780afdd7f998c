"""Unified video segmentation with prompts as queries (UniVS; Li et al., CVPR 2024).

model, info = univs.load("nano")
segmenter = univs.VideoSegmenter(model, None, frame_size=(height, width))
segmenter.add_prompt(univs.BoxPrompt(object_id=1, frame_index=0, box_xyxy=(0.2, 0.3, 0.5, 0.9)))
for frame in video.frames():
    for result in segmenter.step(univs.Clip((frame,))): ...

Everything of some categories, found and followed (`docs/entities.md`):

names = univs.Vocabulary.of_names(["person", "sky"], is_thing=[True, False])  # or univs.vocabularies.load("vipseg")
words = univs.EncodedVocabulary.of(model, names)
segmenter = univs.EntitySegmenter(model, words, (height, width), [univs.Answer.INSTANCES, univs.Answer.PANOPTIC])
"""

from univs.config import UniVSConfig
from univs.errors import UniVSError
from univs.inference.entities.options import Answer, EntityOptions
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.options import InferenceOptions
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.rle import Rle
from univs.types import (
    BoxPrompt,
    CategoryPrompt,
    Clip,
    Frame,
    FrameResult,
    MaskPrompt,
    MaskResult,
    PointPrompt,
    Prompt,
    RankedEntity,
    ScribblePrompt,
    Segment,
    SegmentMap,
    TextPrompt,
)
from univs.video import open_video
from univs.vocabularies import Vocabulary
from univs.weights import WeightsInfo, load

__all__ = [
    "Answer",
    "BoxPrompt",
    "CategoryPrompt",
    "Clip",
    "EncodedVocabulary",
    "EntityOptions",
    "EntitySegmenter",
    "Frame",
    "FrameResult",
    "InferenceOptions",
    "MaskPrompt",
    "MaskResult",
    "PointPrompt",
    "Prompt",
    "RankedEntity",
    "Rle",
    "ScribblePrompt",
    "Segment",
    "SegmentMap",
    "TextPrompt",
    "UniVS",
    "UniVSConfig",
    "UniVSError",
    "VideoSegmenter",
    "Vocabulary",
    "WeightsInfo",
    "load",
    "open_video",
]
