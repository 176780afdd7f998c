"""The networks answer as they did when they were equal to the published ones (`make parity`)."""

import json

import pytest
from tests.model.regression.cases import CASES, PATH, computed

EXPECTED = json.loads(PATH.read_text(encoding="utf-8"))


def test_the_numbers_are_of_these_cases() -> None:
    assert list(EXPECTED) == list(CASES)
    assert PATH.stat().st_size < 16_384


@pytest.mark.parametrize("case", CASES)
def test_the_network_answers_as_before(case: str) -> None:
    found = computed(case)
    assert found.keys() == EXPECTED[case].keys()
    for name, numbers in found.items():
        assert numbers == pytest.approx(EXPECTED[case][name], rel=1e-6, abs=1e-9), name
