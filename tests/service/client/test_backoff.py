from univs_service.client.backoff import Backoff


def test_waits_grow_to_the_longest_and_never_beyond() -> None:
    backoff = Backoff(budget_s=1e6, first_s=1.0, longest_s=4.0)

    waits = [backoff.next_wait_s() for _ in range(200)]

    assert all(wait is not None and 0 <= wait <= 4.0 for wait in waits)
    assert max(wait for wait in waits if wait is not None) > 2.0
    assert waits[0] is not None
    assert waits[0] <= 1.0


def test_no_wait_is_left_when_the_budget_is_spent() -> None:
    assert Backoff(budget_s=0.0).next_wait_s() is None


def test_success_gives_the_budget_back() -> None:
    backoff = Backoff(budget_s=1e6, first_s=1.0, longest_s=1e9)
    for _ in range(30):
        backoff.next_wait_s()

    backoff.reset()

    wait_s = backoff.next_wait_s()
    assert wait_s is not None
    assert wait_s <= 1.0
