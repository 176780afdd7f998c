"""What `--task`, `--names`, `--stuff` and `--vocabulary` mean together."""

import pytest

from univs_service.cli.prompt_options import PromptSyntaxError
from univs_service.cli.task_options import check_prompts, read_wish
from univs_service.client import box, text
from univs_service.messages import Wish


def test_names_are_things_and_stuff_is_not() -> None:
    wish = read_wish(["vps"], "person,  brown   dog", "sky", None)
    assert wish.tasks == ("vps",)
    assert [(one.name, one.is_thing) for one in wish.categories] == [
        ("person", True),
        ("brown dog", True),
        ("sky", False),
    ]


def test_categories_alone_are_looked_for_one_by_one() -> None:
    assert read_wish([], None, None, "coco") == Wish(task=["vis"], vocabulary="coco")


def test_several_tasks_are_one_stream() -> None:
    assert read_wish(["vis,vps", "vos"], None, None, "coco").tasks == ("vis", "vps", "vos")


def test_nothing_asked_for_is_to_follow_the_prompts() -> None:
    wish = read_wish([], None, None, None)
    assert wish == Wish()
    check_prompts(wish, [text(1, "a bear")])


@pytest.mark.parametrize(
    ("tasks", "names", "stuff", "vocabulary", "says"),
    [
        (["vos2"], None, None, None, "takes vis, vss, vps, vos, pvos, refvos, got 'vos2'"),
        (["vis"], None, None, None, "looks for categories, got none: add"),
        (["vos"], "dog", None, None, "leave the names out"),
        (["vis"], "dog", None, "coco", "got both"),
        (["vis"], "dog,,cat", None, None, "commas between"),
        (["vis"], "dog, dog", None, None, "each name of the vocabulary once"),
        (["vis", "vis"], None, None, "coco", "each task once"),
        ([], None, None, "COCO!", "--names, --stuff or --vocabulary"),
    ],
)
def test_what_cannot_be_is_told_with_the_remedy(
    tasks: list[str], names: str | None, stuff: str | None, vocabulary: str | None, says: str
) -> None:
    with pytest.raises(PromptSyntaxError, match=says):
        read_wish(tasks, names, stuff, vocabulary)


@pytest.mark.parametrize(
    ("task", "has_text", "says"),
    [("refvos", False, "add --text"), ("vos", True, "got words alone"), (None, None, "at least one prompt")],
)
def test_a_task_needs_prompts_of_its_kind(task: str | None, has_text: bool | None, says: str) -> None:
    prompts = {None: [], True: [text(1, "a bear")], False: [box(1, 0, 0, 5, 5)]}[has_text]
    with pytest.raises(PromptSyntaxError, match=says):
        check_prompts(read_wish([task] if task else [], None, None, None), prompts)
