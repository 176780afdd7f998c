from itertools import permutations

import torch

from univs.inference.entities.matching import pairs, similarities


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_similarity_is_the_mean_of_both_directions_over_all_pairs_of_frames() -> None:
    entities, detections = draw(4, 2, 8), draw(5, 3, 8, seed=1)
    expected = torch.zeros(4, 5)
    for past in range(2):
        for frame in range(3):
            product = entities[:, past] @ detections[:, frame].T
            expected += (product.softmax(dim=0) + product.softmax(dim=1)) / 2
    torch.testing.assert_close(similarities(entities, detections), expected / 6)


def test_an_entity_is_most_similar_to_itself() -> None:
    looks = 3 * draw(6, 1, 16)
    found = pairs(similarities(looks, looks.flip(0)), 0.1)
    assert [(pair.entity_row, pair.detection_row) for pair in found] == [(row, 5 - row) for row in range(6)]


def test_the_sum_of_similarities_is_the_largest_there_is() -> None:
    similarity = draw(4, 4).sigmoid()
    best = max(
        sum(float(similarity[row, column]) for row, column in enumerate(order)) for order in permutations(range(4))
    )
    assert abs(sum(pair.similarity for pair in pairs(similarity, 0.0)) - best) < 1e-6


def test_what_is_not_similar_enough_is_no_pair() -> None:
    similarity = torch.tensor([[0.9, 0.2], [0.8, 0.05]])
    assert [(pair.entity_row, pair.detection_row) for pair in pairs(similarity, 0.3)] == [(0, 0)]
    assert pairs(similarity, 0.95) == []


def test_there_may_be_no_detection_or_no_entity() -> None:
    assert pairs(similarities(draw(3, 2, 8), draw(0, 2, 8)), 0.1) == []
    assert pairs(similarities(draw(0, 2, 8), draw(3, 2, 8)), 0.1) == []
