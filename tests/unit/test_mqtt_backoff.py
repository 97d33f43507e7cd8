from datetime import timedelta

from gatekeeper.adapters.mqtt.backoff import BackOff

CAP = timedelta(seconds=5)


def test_the_limit_of_the_pause_doubles_up_to_the_cap() -> None:
    back_off = BackOff(cap=CAP, share=lambda: 1.0)
    assert [back_off.pause() for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_the_pause_is_any_share_of_its_limit() -> None:
    back_off = BackOff(cap=CAP, share=lambda: 0.0)
    assert [back_off.pause() for _ in range(8)] == [0.0] * 8


def test_a_settled_link_begins_anew() -> None:
    back_off = BackOff(cap=CAP, share=lambda: 1.0)
    for _ in range(100_000):
        back_off.pause()
    back_off.settle()
    assert back_off.pause() == 0.1


def test_after_an_eviction_the_distance_is_never_less_than_the_cap() -> None:
    assert BackOff(cap=CAP, share=lambda: 0.0).distance() == 5.0
    assert BackOff(cap=CAP, share=lambda: 1.0).distance() == 10.0
