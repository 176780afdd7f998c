"""Check what is asked of a session, tasks and categories, against the loaded weights."""

from collections.abc import Sequence

from univs_service.errors import InvalidInputError, UnknownVocabularyError, UnsupportedTaskError
from univs_service.messages import FieldError, ModelInfo, Task, Wish
from univs_service.store.gateway_store import no_names


def check_first_wish(wish: Wish, model: str, models: Sequence[ModelInfo]) -> None:
    """Refuse what a session cannot be made with.

    Args:
        wish: of the request.
        model: name of the session's weights.
        models: what the workers have loaded; with none, everything is let through.
    Raises:
        InvalidInputError: for a task about categories without any, or categories without such a task.
        UnsupportedTaskError, UnknownVocabularyError: as `check_wish`.
    """
    if wish.needs_names and wish.vocabulary is None:
        raise no_names()
    if wish.vocabulary is not None and not wish.needs_names:
        raise InvalidInputError(
            f"expected a task that looks for categories (vis, vss, vps) beside `vocabulary`, "
            f"got {', '.join(wish.tasks) or 'none'}; give `task`, or leave `vocabulary` out",
            errors=[FieldError(loc=["task"], msg="must be vis, vss or vps where `vocabulary` is given")],
        )
    check_wish(wish, model, models)


def check_wish(wish: Wish, model: str, models: Sequence[ModelInfo]) -> None:
    """Refuse a task that the session's weights cannot serve, and a vocabulary that nobody knows.

    Raises:
        UnsupportedTaskError, UnknownVocabularyError
    """
    info = next((info for info in models if info.name == model), None)
    if info is None:
        return
    for task in wish.tasks:
        if task not in info.tasks:
            raise UnsupportedTaskError(
                f"expected one of the tasks {', '.join(info.tasks)}, which '{model}' can serve, got {task!r}; "
                f"{_reason(task, info)}",
                errors=[FieldError(loc=["task"], msg=f"{task} is not among the tasks of '{model}'")],
            )
    name = wish.vocabulary
    if isinstance(name, str) and name not in info.vocabularies:
        raise UnknownVocabularyError(
            f"expected one of the vocabularies {', '.join(info.vocabularies)}, got {name!r}; "
            "choose one of these, or send the names themselves as a list",
            errors=[FieldError(loc=["vocabulary"], msg="is not the name of a vocabulary")],
        )


def _reason(task: Task, info: ModelInfo) -> str:
    why = info.no_text if task == "refvos" else info.no_categories
    return why or "choose one of these, or another model"
