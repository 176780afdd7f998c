"""From queries to predictions: once for each layer, for all groups of queries together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.mask_decoder.heads import PredictionHeads, mask_logits
from univs.mask_decoder.image_attention import ImageMemory
from univs.mask_decoder.separation import QueryGroup
from univs.types import Prediction


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What else the decoder is asked for.

    Attributes:
        with_auxiliary: also give the prediction before every layer, for deep supervision.
        average_with_learnable: each prompt's mask is the mean of its own and of its most similar learnable query's, in
            every layer; the released code does so for expressions at test time.
        permute_frames: permute mask embeddings in time before the product, a training trick of the released code.
    """

    with_auxiliary: bool = False
    average_with_learnable: bool = False
    permute_frames: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A group of queries as the heads see it."""

    embeddings: Tensor  # [B, Q, T, C]
    mask_embeddings: Tensor  # [B, Q, T, C]
    is_prompt: bool


@dataclass(frozen=True, slots=True)
class Readout:
    """The heads, with all that stays the same while one clip is decoded."""

    heads: PredictionHeads
    class_table: Tensor | None
    options: DecodeOptions
    frame_order: Tensor | None  # int64 [T], or None to keep the order
    is_grounding: bool

    @classmethod
    def of(
        cls,
        heads: PredictionHeads,
        class_table: Tensor | None,
        options: DecodeOptions,
        image: ImageMemory,
        *,
        is_grounding: bool,
    ) -> "Readout":
        """Fix what one decoding needs; the permutation of frames is drawn here."""
        maps = image.mask_features
        order = torch.randperm(maps.shape[1], device=maps.device) if options.permute_frames else None
        return cls(heads, class_table, options, order, is_grounding)

    def read(self, groups: Sequence[QueryGroup]) -> list[Reading]:
        """Look at each group of queries."""
        readings = []
        for group in groups:
            embeddings, mask_embeddings = self.heads.embed(group.x)
            if self.frame_order is not None:
                mask_embeddings = mask_embeddings[:, :, self.frame_order]
            readings.append(Reading(embeddings, mask_embeddings, group.is_prompt))
        return readings

    def mask_logits(self, readings: Sequence[Reading], maps: Sequence[Tensor]) -> list[Tensor]:
        """Give each group its masks on its own pixel embedding: [B, Q, T, h, w] each."""
        logits = [mask_logits(reading.mask_embeddings, own) for reading, own in zip(readings, maps, strict=True)]
        if not self.options.average_with_learnable or len(readings) < 2:
            return logits
        learnable, prompts = readings
        best = _most_similar(prompts.embeddings, learnable.embeddings)  # [B, N_p]
        rows = torch.arange(len(best), device=best.device)[:, None]
        return [logits[0], (logits[1] + logits[0][rows, best]) / 2]

    def predict(
        self,
        readings: Sequence[Reading],
        maps: Sequence[Tensor],
        *,
        auxiliary: tuple[Prediction, ...] = (),
    ) -> Prediction:
        """Give masks, classes and embeddings of all queries, learnable ones first."""
        embeddings = torch.cat([reading.embeddings for reading in readings], dim=1)
        class_logits = None
        if self.class_table is not None:
            compare = self.heads.ground if self.is_grounding else self.heads.classify
            class_logits = compare(embeddings, self.class_table)
        return Prediction(
            mask_logits=torch.cat(self.mask_logits(readings, maps), dim=1),
            embeddings=embeddings,
            class_logits=class_logits,
            num_learnable=sum(reading.embeddings.shape[1] for reading in readings if not reading.is_prompt),
            auxiliary=auxiliary,
        )


def _most_similar(queries: Tensor, others: Tensor) -> Tensor:
    """Give for each query the index of the other with the largest cosine, averaged over frames: int64 [B, Q]."""
    left, right = functional.normalize(queries, dim=-1), functional.normalize(others, dim=-1)
    return torch.einsum("bqtc,bntc->bqn", left, right).argmax(dim=-1)
