"""What is asked of a session besides single objects: a task, and the categories it is about."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from univs_service.messages.base import Incoming

Task: TypeAlias = Literal["vis", "vss", "vps", "vos", "pvos", "refvos"]
CategoryTask: TypeAlias = Literal["vis", "vss", "vps"]
CATEGORY_TASKS: tuple[CategoryTask, ...] = ("vis", "vss", "vps")

MAX_NAMES = 2048  # of one session; the largest named vocabulary has 1203
VocabularyName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
CategoryName: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]


class CategoryIn(Incoming):
    """A category to look for."""

    name: CategoryName
    is_thing: bool = Field(default=True, description="things are counted one by one (person), stuff is not (sky)")


def _form(value: object) -> str:
    return "list" if isinstance(value, list | tuple) else "object" if isinstance(value, dict | CategoryIn) else "name"


# Each says by its JSON type which branch it is, so that an error speaks of that branch alone.
Category: TypeAlias = Annotated[
    Annotated[CategoryName, Tag("name")] | Annotated[CategoryIn, Tag("object")], Discriminator(_form)
]
Categories: TypeAlias = Annotated[list[Category], Field(min_length=1, max_length=MAX_NAMES)]
Vocabulary: TypeAlias = Annotated[
    Annotated[VocabularyName, Tag("name")] | Annotated[Categories, Tag("list")], Discriminator(_form)
]
TaskList: TypeAlias = Annotated[list[Task], Field(min_length=1, max_length=6)]
Tasks: TypeAlias = Annotated[Annotated[Task, Tag("name")] | Annotated[TaskList, Tag("list")], Discriminator(_form)]


class Wish(Incoming):
    """Which tasks, over which categories. `vis`, `vss` and `vps` find what has a name; the others follow prompts."""

    task: Tasks | None = Field(
        default=None,
        description="vis: entities one by one; vss: a category for each pixel; vps: a segment for each pixel; "
        "vos, pvos, refvos: prompted objects alone. A list asks for several answers of one stream",
    )
    vocabulary: Vocabulary | None = Field(
        default=None,
        description="the categories: the name of a vocabulary (`GET /v1/models` lists them), or names, each a text "
        "(a thing) or {name, is_thing}",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> "Wish":
        names = [category.name for category in self.categories]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"expected each name of the vocabulary once, got {twice!r} {names.count(twice)} times")
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"expected each task once, got {', '.join(self.tasks)}")
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Give what is asked for; none when nothing is said of it."""
        if self.task is None:
            return ()
        return (self.task,) if isinstance(self.task, str) else tuple(self.task)

    @property
    def needs_names(self) -> bool:
        """Whether a task is about categories."""
        return any(task in CATEGORY_TASKS for task in self.tasks)

    @property
    def categories(self) -> tuple[CategoryIn, ...]:
        """Give the categories that are listed; none for a vocabulary that is only named."""
        if self.vocabulary is None or isinstance(self.vocabulary, str):
            return ()
        return tuple(CategoryIn(name=one) if isinstance(one, str) else one for one in self.vocabulary)
