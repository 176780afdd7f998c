"""The networks of one worker: its own from the start, and those of the weights folder as sessions ask for them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from univs import weights
from univs.errors import WeightsNotFoundError
from univs_service.messages import ModelInfo, Weights
from univs_service.settings import Settings
from univs_service.worker.engine import Engine
from univs_service.worker.weights_folder import Offer, Stamp, WeightsFolder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    engine: Engine
    stamp: Stamp


class Engines:
    """Load weights by name, at most `max_models` at a time; those that no session uses make room, the oldest first.

    One thread calls everything but `models`, which any may read.
    """

    def __init__(self, default: Engine, settings: Settings) -> None:
        """Begin with the network that the worker loaded at its start; it stays."""
        self.default = default
        self._default_info = default.model_info
        self._settings = settings
        self._default_names = {default.info.name, settings.model}
        taken = self._default_names | {path.stem for path in weights.files()}
        self._folder = WeightsFolder(settings.own_weights, taken)
        self._offers: dict[str, Offer] = self._folder.offers()
        self._loaded: dict[str, _Loaded] = {}  # the one that was asked for last stands last
        self.models: tuple[ModelInfo, ...] = self._described()

    def claimable(self, in_use: Sequence[Engine]) -> dict[str, Weights]:
        """Look into the folder, and give the models that a session may have now, with their weights.

        Args:
            in_use: the networks of the sessions that the worker holds.
        """
        self._offers = self._folder.offers()
        self.models = self._described()
        names = dict.fromkeys(self._default_names, self._default_info.weights)
        has_room = self._has_room(in_use) or any(not _is_among(one.engine, in_use) for one in self._loaded.values())
        for name, offer in self._offers.items():
            if has_room or self._current(offer) is not None:
                names[name] = offer.model_info.weights
        return names

    def get(self, name: str, in_use: Sequence[Engine]) -> Engine:
        """Give the network of a name, loaded now if it is not yet.

        Raises:
            WeightsNotFoundError: when its file is gone.
            WeightsError: when it cannot be used.
        """
        if name in self._default_names:
            return self.default
        offer = self._offers.get(name)
        if offer is None:
            raise WeightsNotFoundError(
                f"expected weights {name!r} in the service's folder of weights, but they are gone; "
                "choose a model that /v1/models lists"
            )
        engine = self._current(offer)
        self._loaded.pop(name, None)
        if engine is None:
            self._make_room(in_use)
            engine = Engine.load(self._settings.model_copy(update={"model": str(offer.path)}), beside=self.default)
            engine.info = replace(engine.info, name=name)  # as it was asked for, whatever the file calls itself
        self._loaded[name] = _Loaded(engine, offer.stamp)
        self.models = self._described()
        return engine

    def _current(self, offer: Offer) -> Engine | None:
        """Give the network of an offer if it is loaded, and from the file that lies there now."""
        loaded = self._loaded.get(offer.name)
        return loaded.engine if loaded is not None and loaded.stamp == offer.stamp else None

    def _has_room(self, in_use: Sequence[Engine]) -> bool:
        held = [self.default, *(one.engine for one in self._loaded.values()), *in_use]
        return len({id(engine) for engine in held}) < self._settings.max_models

    def _make_room(self, in_use: Sequence[Engine]) -> None:
        for name, one in list(self._loaded.items()):
            if self._has_room(in_use):
                return
            if not _is_among(one.engine, in_use):
                logger.info("model unloaded", extra={"model": name})
                del self._loaded[name]

    def _described(self) -> tuple[ModelInfo, ...]:
        others = [
            offer.model_info.model_copy(update={"is_loaded": self._current(offer) is not None})
            for offer in self._offers.values()
        ]
        return (self._default_info, *others)


def _is_among(engine: Engine, engines: Sequence[Engine]) -> bool:
    return any(engine is other for other in engines)
