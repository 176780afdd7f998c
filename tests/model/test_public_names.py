import univs


def test_the_public_names_are_sorted_and_there() -> None:
    assert univs.__all__ == sorted(univs.__all__)
    assert all(hasattr(univs, name) for name in univs.__all__)
