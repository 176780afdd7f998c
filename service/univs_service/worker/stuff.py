"""Prompts that say which category of stuff an object is: sky or road, whose pixels are labelled, not followed."""

from collections.abc import Sequence

from univs.errors import UnsupportedPromptError
from univs.inference.options import Judge
from univs.inference.segmenter import VideoSegmenter
from univs.inference.stuff import StuffCategories
from univs_service.errors import InvalidInputError
from univs_service.messages import FieldError, Following, PromptIn, Wish
from univs_service.worker.categories import CategoryEngine


def stuff_of(
    segmenter: VideoSegmenter, categories: CategoryEngine, following: Following, prompts: Sequence[PromptIn]
) -> StuffCategories | None:
    """Give the categories that pixels may be labelled as, and which objects are stuff; None when none is.

    Args:
        segmenter: of the prompted objects.
        categories: reads their names.
        following: of the session; its `stuff_vocabulary` holds the names.
        prompts: all of the session.
    Raises:
        UnsupportedPromptError: when the weights follow stuff like any other object.
        InvalidInputError: for a name that the session's categories lack.
        UnknownVocabularyError, UnsupportedTaskError, InputError: for categories that cannot be read.
    """
    named = {prompt.object_id: prompt.stuff for prompt in prompts if prompt.stuff is not None}
    if not named:
        return None
    if segmenter.options.judge is not Judge.COMPETITION:
        raise UnsupportedPromptError(
            "expected weights that are run as published for a prompt with `stuff`, got weights that follow stuff like "
            "any other object; leave `stuff` out"
        )
    words = categories.read(Wish(vocabulary=following.stuff_vocabulary))
    if words is None:
        raise InvalidInputError(
            "expected `stuff_vocabulary` in a session whose prompts say `stuff`, got none; name the categories of "
            "things and stuff when the session is made",
            errors=[FieldError(loc=["stuff"], msg="needs `stuff_vocabulary` of the session")],
        )
    for name in named.values():
        if name not in words.names:
            raise InvalidInputError(
                f"expected a category of the session's `stuff_vocabulary`, got {name!r}; choose one of its "
                f"{len(words)} names",
                errors=[FieldError(loc=["stuff"], msg="is not in `stuff_vocabulary`")],
            )
    rows = {object_id: words.names.index(name) for object_id, name in named.items()}
    return StuffCategories(words.vectors[: len(words)], rows)
