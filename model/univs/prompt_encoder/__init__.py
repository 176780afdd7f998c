"""Prompts as tokens and initial queries."""

from univs.prompt_encoder.queries import InitialQuery, QueryOptions, VisualQueryEncoder
from univs.prompt_encoder.regions import Canvas
from univs.prompt_encoder.sampling import CellChoice
from univs.prompt_encoder.text import TextEncoder, TextFeatures, TextQueryEncoder
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens
from univs.prompt_encoder.visual import SamplerOptions, sample_masks, sample_prompts

__all__ = [
    "Canvas",
    "CellChoice",
    "InitialQuery",
    "ObjectTokens",
    "QueryOptions",
    "SamplerOptions",
    "TextEncoder",
    "TextFeatures",
    "TextQueryEncoder",
    "VisualQueryEncoder",
    "VisualTokens",
    "sample_masks",
    "sample_prompts",
]
