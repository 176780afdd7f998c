"""How prompted objects are followed: which way from a prompt, and what a session may choose."""

from typing import Literal, TypeAlias

from pydantic import Field

from univs_service.messages.base import Incoming
from univs_service.messages.tasks import Vocabulary

Direction: TypeAlias = Literal["forward", "backward"]
Spread: TypeAlias = Literal["forward", "backward", "both"]
Isolation: TypeAlias = Literal["strict", "joint"]


class Following(Incoming):
    """What a session may choose of how its prompted objects are followed; what is left out is as the weights say."""

    isolation: Isolation | None = Field(
        default=None,
        description="strict: objects never influence each other, so that adding one leaves every other mask as it "
        "was; joint: they attend to each other, as published",
    )
    presence_threshold: float | None = Field(
        default=None, ge=0, le=1, description="an object whose `presence` is lower is not in the frame"
    )
    lost_after_frames: int | None = Field(
        default=None, ge=0, le=100_000, description="an object unseen for more frames is `lost` rather than `occluded`"
    )
    stuff_vocabulary: Vocabulary | None = Field(
        default=None,
        description="categories of things and stuff that pixels may be labelled as, for prompts that say `stuff`: the "
        "name of a vocabulary, or names",
    )

    @property
    def following(self) -> "Following":
        """Give these choices alone."""
        return Following(
            isolation=self.isolation,
            presence_threshold=self.presence_threshold,
            lost_after_frames=self.lost_after_frames,
            stuff_vocabulary=self.stuff_vocabulary,
        )
