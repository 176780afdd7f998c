"""The lists against what their data sets publish: counts, ids, first and last names, what is a thing."""

import json
from collections import Counter
from pathlib import Path

import pytest

from univs.errors import InputError
from univs.vocabularies import available, load

_SHARED = Path(__file__).parents[4] / "shared"

# Counts as the papers of the data sets give them: names, things.
COUNTS = {
    "ade20k": (150, 100),
    "coco": (80, 80),
    "coco_panoptic": (133, 80),
    "lvis": (1203, 1203),
    "ovis": (25, 25),
    "vipseg": (124, 58),
    "ytvis21": (40, 40),
}
FIRST_IDS_AND_LAST = {
    "ade20k": (1, 150),
    "coco": (1, 90),
    "coco_panoptic": (1, 200),
    "lvis": (1, 1203),
    "ovis": (1, 25),
    "vipseg": (0, 123),
    "ytvis21": (1, 40),
}


def test_every_list_has_as_many_names_and_things_as_its_data_set() -> None:
    found = {name: (len(load(name)), sum(load(name).is_thing)) for name in available()}
    assert found == COUNTS


def test_ids_are_those_of_the_data_sets_and_ascend() -> None:
    for name, (first, last) in FIRST_IDS_AND_LAST.items():
        ids = load(name).category_ids
        assert (ids[0], ids[-1]) == (first, last)
        assert list(ids) == sorted(ids)


def test_things_of_coco_are_the_first_names_of_its_panoptic_list() -> None:
    things, everything = load("coco"), load("coco_panoptic")
    assert everything.names[:80] == things.names
    assert everything.category_ids[:80] == things.category_ids
    assert everything.phrases[-1] == "rug"


def test_a_misspelt_name_of_a_data_set_is_asked_for_as_it_is_meant() -> None:
    words = load("ovis")
    assert (words.names[-1], words.phrases[-1]) == ("Vehical", "vehicle")
    assert words.phrases[words.names.index("Giant_panda")] == "giant panda"


def test_names_of_most_lists_differ_when_spoken() -> None:
    for name in set(COUNTS) - {"coco_panoptic"}:
        assert max(Counter(load(name).phrases).values()) == 1
    doubled = {phrase for phrase, count in Counter(load("coco_panoptic").phrases).items() if count > 1}
    assert doubled == set()


def test_another_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"expected a vocabulary of ade20k, coco, .*ytvis21, got 'imagenet'"):
        load("imagenet")


@pytest.mark.skipif(not (_SHARED / "data" / "coco_mini").is_dir(), reason="needs the data beside the project")
@pytest.mark.parametrize(("name", "file"), [("coco", "instances_dev.json"), ("coco_panoptic", "panoptic_dev.json")])
def test_coco_is_as_in_its_annotation_files(name: str, file: str) -> None:
    rows = json.loads((_SHARED / "data" / "coco_mini" / file).read_text(encoding="utf-8"))["categories"]
    words = load(name)
    assert words.names == tuple(row["name"] for row in rows)
    assert words.category_ids == tuple(row["id"] for row in rows)
    assert words.is_thing == tuple(bool(row.get("isthing", 1)) for row in rows)


@pytest.mark.skipif(not (_SHARED / "data" / "text").is_dir(), reason="needs the data beside the project")
def test_lvis_is_in_the_order_of_its_embeddings() -> None:
    names = json.loads((_SHARED / "data" / "text" / "lvis_names.json").read_text(encoding="utf-8"))
    assert load("lvis").names == tuple(names)


@pytest.mark.skipif(not (_SHARED / "univs" / "parity").is_dir(), reason="needs the fixtures beside the project")
def test_stuff_of_vipseg_is_that_of_the_published_streams() -> None:
    recorded = json.loads((_SHARED / "univs" / "parity" / "e2e_pvos.json").read_text(encoding="utf-8"))
    words = load("vipseg")
    assert {row + 1 for row, thing in enumerate(words.is_thing) if not thing} == set(recorded["stuff_ids_1based"])
