"""The unified mask decoder."""

from univs.mask_decoder.decoder import MaskDecoder
from univs.mask_decoder.image_attention import ImageMemory
from univs.mask_decoder.readout import DecodeOptions
from univs.mask_decoder.separation import SelfAttention
from univs.mask_decoder.tiles import decode_in_tiles

__all__ = ["DecodeOptions", "ImageMemory", "MaskDecoder", "SelfAttention", "decode_in_tiles"]
