"""What `--task`, `--names`, `--stuff` and `--vocabulary` mean together."""

from collections.abc import Sequence

import pytest

from univs_service.cli.prompt_options import PromptSyntaxError
from univs_service.cli.task_options import Asked, read_asked
from univs_service.client import box, mask, text
from univs_service.messages import Following, PromptIn, Wish

BOX = box(1, 0, 0, 5, 5)


def read(
    *tasks: str,
    names: str | None = None,
    stuff: str | None = None,
    vocabulary: str | None = None,
    stuff_objects: Sequence[str] = (),
    prompts: Sequence[PromptIn] = (BOX,),
) -> Asked:
    return read_asked(prompts, tasks, names, stuff, vocabulary, stuff_objects)


def test_names_are_things_and_stuff_is_not() -> None:
    wish = read("vps", names="person,  brown   dog", stuff="sky", prompts=()).wish
    assert wish.tasks == ("vps",)
    assert [(one.name, one.is_thing) for one in wish.categories] == [
        ("person", True),
        ("brown dog", True),
        ("sky", False),
    ]


def test_categories_alone_are_looked_for_one_by_one() -> None:
    assert read(vocabulary="coco", prompts=()).wish == Wish(task=["vis"], vocabulary="coco")


def test_several_tasks_are_one_stream() -> None:
    assert read("vis,vps", "vos", vocabulary="coco").wish.tasks == ("vis", "vps", "vos")


def test_nothing_asked_for_is_to_follow_the_prompts() -> None:
    prompts = [text(1, "a bear")]
    assert read(prompts=prompts) == Asked(Wish(), Following(), prompts)


def test_an_object_may_be_stuff_of_a_vocabulary() -> None:
    prompts = [BOX, mask(2, [[1, 0]])]
    asked = read("pvos", vocabulary="vipseg", stuff_objects=["2:road"], prompts=prompts)
    assert asked.wish == Wish(task=["pvos"])
    assert asked.following == Following(stuff_vocabulary="vipseg")
    assert [prompt.stuff for prompt in asked.prompts] == [None, "road"]


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
        read(*tasks, names=names, stuff=stuff, vocabulary=vocabulary)


@pytest.mark.parametrize(
    ("vocabulary", "objects", "says"),
    [(None, ["1:road"], "add, for example, --vocabulary vipseg"), ("vipseg", ["4:road"], "an object without a prompt")],
)
def test_stuff_needs_its_categories_and_a_prompt(vocabulary: str | None, objects: list[str], says: str) -> None:
    with pytest.raises(PromptSyntaxError, match=says):
        read("pvos", vocabulary=vocabulary, stuff_objects=objects)


@pytest.mark.parametrize(
    ("task", "has_text", "says"),
    [("refvos", False, "add --text"), ("vos", True, "got words alone"), (None, None, "at least one prompt")],
)
def test_a_task_needs_prompts_of_its_kind(task: str | None, has_text: bool | None, says: str) -> None:
    prompts: list[PromptIn] = {None: [], True: [text(1, "a bear")], False: [BOX]}[has_text]
    with pytest.raises(PromptSyntaxError, match=says):
        read(*([task] if task else []), prompts=prompts)
