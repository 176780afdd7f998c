"""Unified video segmentation with prompts as queries (UniVS; Li et al., CVPR 2024).

model, info = univs.load("nano")
segmenter = univs.VideoSegmenter(model, None, frame_size=(height, width))
segmenter.add_prompt(univs.BoxPrompt(object_id=1, frame_index=0, box_xyxy=(0.2, 0.3, 0.5, 0.9)))
for frame in video.frames():
    for result in segmenter.step(univs.Clip((frame,))): ...
"""

from univs.config import UniVSConfig
from univs.errors import UniVSError
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
    ScribblePrompt,
    TextPrompt,
)
from univs.video import open_video
from univs.weights import WeightsInfo, load

__all__ = [
    "BoxPrompt",
    "CategoryPrompt",
    "Clip",
    "Frame",
    "FrameResult",
    "InferenceOptions",
    "MaskPrompt",
    "MaskResult",
    "PointPrompt",
    "Prompt",
    "Rle",
    "ScribblePrompt",
    "TextPrompt",
    "UniVS",
    "UniVSConfig",
    "UniVSError",
    "VideoSegmenter",
    "WeightsInfo",
    "load",
    "open_video",
]
