"""Faults on order: how they are spelled, how often they happen, and that the seed alone decides."""

import random
from datetime import timedelta

import pytest

from devices.simulator.faults import NO_FAULTS, Faults, FaultsError, fate, power_cuts, skew_of
from gatekeeper.model.ids import GateId


def test_faults_are_read_as_they_are_spelled():
    text = "loss=1%,delay=200ms, repeat=2%,reorder=1%,forge=0.5%,skew=1h,power-cut=2/h"
    assert Faults.parse(text) == Faults(
        loss=0.01,
        delay=timedelta(milliseconds=200),
        repeat=0.02,
        reorder=0.01,
        forge=0.005,
        skew=timedelta(hours=1),
        power_cut=2.0,
    )


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", NO_FAULTS),
        ("power-cut=6/d", Faults(power_cut=0.25)),
        ("power-cut=1/m", Faults(power_cut=60.0)),
        ("delay=1.5s", Faults(delay=timedelta(seconds=1.5))),
        ("loss=100%", Faults(loss=1.0)),
    ],
)
def test_the_same_fault_in_other_units(text: str, faults: Faults):
    assert Faults.parse(text) == faults
    assert bool(faults) == (text != "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "rain=1%",
            "'rain' is no fault; the faults are loss, delay, repeat, reorder, forge, skew, power-cut.",
        ),
        ("loss", "loss is a chance, as in loss=1% (0% to 100%)."),
        ("loss=0.01", "loss is a chance, as in loss=1% (0% to 100%)."),
        ("loss=101%", "loss is a chance, as in loss=1% (0% to 100%)."),
        ("delay=200", "delay is a time, as in delay=200ms (ms, s, m, h or d)."),
        ("delay=2m", "delay is a minute at most: nothing waits longer for a message."),
        ("power-cut=2", "power-cut is so many times in a while, as in power-cut=2/h (m, h or d)."),
        ("loss=1%,loss=2%", "loss is said twice."),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_write(text: str, sentence: str):
    with pytest.raises(FaultsError) as refused:
        Faults.parse(text)
    assert str(refused.value) == sentence


def test_each_fault_happens_as_often_as_it_was_ordered():
    faults = Faults(loss=0.1, delay=timedelta(seconds=1), repeat=0.2, reorder=0.3, forge=0.4)
    drawing = random.Random(1)
    fates = [fate(faults, drawing) for _ in range(5000)]
    for often, times in (
        (0.1, sum(one.lost for one in fates)),
        (0.2, sum(one.again is not None for one in fates)),
        (0.3, sum(one.behind_next for one in fates)),
        (0.4, sum(one.forged for one in fates)),
    ):
        assert 0.85 * often < times / len(fates) < 1.15 * often
    assert max(one.late for one in fates) <= timedelta(seconds=1)
    assert sum((one.late for one in fates), timedelta()) / len(fates) > timedelta(seconds=0.4)


def test_one_fault_does_not_move_another():
    """What a seed draws for losses stays when delays are ordered too: two runs can be compared."""
    alone, beside = random.Random(3), random.Random(3)
    lost = [fate(Faults(loss=0.2), alone).lost for _ in range(200)]
    both = Faults(loss=0.2, forge=0.5, repeat=0.5, delay=timedelta(seconds=1))
    assert [fate(both, beside).lost for _ in range(200)] == lost


def test_power_goes_as_often_as_it_was_ordered_and_clocks_are_wrong_by_no_more():
    gates, faults = [GateId(f"gate-{n}") for n in range(25)], Faults(power_cut=2, skew=timedelta(hours=1))
    cuts = list(power_cuts(gates, faults, seed=1, day=0))
    assert 0.9 < len(cuts) / (25 * 2 * 24) < 1.1
    assert list(power_cuts(gates, Faults(loss=1), seed=1, day=0)) == []
    skews = [skew_of(gate, faults, seed=1) for gate in gates]
    assert -timedelta(hours=1) <= min(skews) < timedelta() < max(skews) <= timedelta(hours=1)
