"""What is asked for on the command line: tasks, and the categories they are about.

--task vis                    entities one by one; vss: a category for each pixel; vps: a segment for each pixel
--vocabulary coco             the categories of a data set (docs/vocabularies.md)
--names "person, dog"         or any names: these are things, which are counted one by one,
--stuff "sky, road"           and these are stuff, which is not
--stuff-object 2:road         object 2 is stuff of this category, where weights are run as published (task pvos)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from pydantic import ValidationError

from univs_service.cli.prompt_options import PromptSyntaxError
from univs_service.exports import read_names
from univs_service.messages import CATEGORY_TASKS, CategoryIn, Following, PromptIn, Task, Wish

TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for besides the prompts, and the prompts with what they are said to be."""

    wish: Wish
    following: Following
    prompts: list[PromptIn]


def read_asked(
    prompts: Sequence[PromptIn],
    tasks: Sequence[str],
    names: str | None,
    stuff: str | None,
    vocabulary: str | None,
    stuff_objects: Sequence[str] = (),
) -> Asked:
    """Read a command line; categories are those of stuff objects where there are some and no task looks for categories.

    Raises:
        PromptSyntaxError: for what cannot be, and for nothing to follow or to look for.
        ExportError: for a stuff object that is not OBJECT:CATEGORY.
    """
    wish = _read_wish(tasks, names, stuff, vocabulary, follows_stuff=bool(stuff_objects))
    _check_prompts(wish, prompts)
    categories = read_names(stuff_objects)
    missing = sorted(categories.keys() - {prompt.object_id for prompt in prompts})
    if missing:
        raise PromptSyntaxError(f"--stuff-object {missing[0]}:... names an object without a prompt; add, say, --mask")
    if not categories:
        return Asked(wish, Following(), list(prompts))
    if wish.vocabulary is None:
        raise PromptSyntaxError(
            "--stuff-object needs the categories that pixels may be labelled as: add, for example, --vocabulary vipseg"
        )
    said = [prompt.model_copy(update={"stuff": categories.get(prompt.object_id)}) for prompt in prompts]
    following = Following(stuff_vocabulary=wish.vocabulary)
    return Asked(wish if wish.needs_names else Wish(task=wish.task), following, said)


def _read_wish(
    tasks: Sequence[str], names: str | None, stuff: str | None, vocabulary: str | None, *, follows_stuff: bool
) -> Wish:
    """Read what is asked for; categories without a task are looked for one by one."""
    asked = [task.strip() for option in tasks for task in option.split(",")]
    unknown = [task for task in asked if task not in TASKS]
    if unknown:
        raise PromptSyntaxError(f"--task takes {', '.join(TASKS)}, got {unknown[0]!r}")
    listed = [CategoryIn(name=name) for name in _split("--names", names)]
    listed += [CategoryIn(name=name, is_thing=False) for name in _split("--stuff", stuff)]
    if listed and vocabulary is not None:
        raise PromptSyntaxError("expected --names and --stuff, or --vocabulary, got both; give one of the two")
    has_categories = bool(listed) or vocabulary is not None
    looks_for = [task for task in asked if task in CATEGORY_TASKS]
    if looks_for and not has_categories:
        raise PromptSyntaxError(
            f"--task {looks_for[0]} looks for categories, got none: add, for example, --vocabulary coco_panoptic, or "
            '--names "person, dog" --stuff "sky, road"'
        )
    if has_categories and asked and not looks_for and not follows_stuff:
        raise PromptSyntaxError(
            f"categories are looked for by the tasks {', '.join(CATEGORY_TASKS)}, got --task {', '.join(asked)}; "
            "add one of these, or leave the names out"
        )
    try:
        return Wish.model_validate(
            {
                "task": asked or (["vis"] if has_categories and not follows_stuff else None),
                "vocabulary": listed or vocabulary,
            }
        )
    except ValidationError as error:
        raise PromptSyntaxError(f"{_option_of(error)}: {error.errors()[0]['msg']}") from error


def _check_prompts(wish: Wish, prompts: Sequence[PromptIn]) -> None:
    """Refuse a task without anything to follow or to look for."""
    if wish.needs_names:
        return
    if not prompts:
        raise PromptSyntaxError(
            "expected at least one prompt, got none: add, for example, --box 1:40,60,200,300, or look for categories "
            "with --task vis --vocabulary coco"
        )
    has_text, has_marks = (any((prompt.text is not None) is is_text for prompt in prompts) for is_text in (True, False))
    if "refvos" in wish.tasks and not has_text:
        raise PromptSyntaxError('--task refvos follows what is said in words, got none: add --text 1:"a brown bear"')
    if not has_marks and set(wish.tasks) & {"vos", "pvos"}:
        raise PromptSyntaxError(
            f"--task {wish.tasks[0]} follows what is marked in a frame, got words alone: add --box or --point, or ask "
            "for --task refvos"
        )


def _split(option: str, names: str | None) -> list[str]:
    if names is None:
        return []
    found = [" ".join(name.split()) for name in names.split(",")]
    if not all(found):
        raise PromptSyntaxError(f'{option} takes names with commas between them, "person, dog", got {names!r}')
    return found


def _option_of(error: ValidationError) -> str:
    place = error.errors()[0]["loc"]
    return "--task" if place[:1] == ("task",) else "--names, --stuff or --vocabulary"
