"""What a gate that decides alone still knows after a restart: what it held, and what was ordered."""

from dataclasses import replace

from devices.conformance.script import Ask, Do, Reply, Script, ask, listen, send
from devices.conformance.stage import Stage
from devices.conformance.trials.pieces import ARRIVAL, CannotJudgeError
from devices.conformance.trials.solitude import from_another, give, lets_in, shown
from devices.conformance.trials.withheld import locked_down_and_released
from gatekeeper.model.messages import Hello
from gatekeeper.model.topics import Channel

__all__ = ["try_kept"]


def try_kept(stage: Stage) -> Script[None]:
    """Put back what the gate held before, restart it, and see what it goes by."""
    older = yield from lets_in(stage)
    follows_orders = yield from locked_down_and_released(stage)
    made = stage.provisions.provided(stage.wall)
    if follows_orders:
        # It would let the card in, were it not for an order that comes after it.
        held = yield from give(stage, made)
        yield from locked_down_and_released(stage)
    else:
        held = yield from give(stage, replace(made, snapshot=replace(made.snapshot, rows=b"")))
    stage.beacons = False
    # A boot that hears a beacon for the first time may ask with it.
    yield from send(stage.service.beacon_topic, b"", retained=True)
    yield from send(stage.provisions.policy_topic, older.snapshot, retained=True)
    yield from send(stage.provisions.standing_topic, older.standing, retained=True)
    yield from listen(ARRIVAL)
    question = Ask(
        do=Do.RESTART,
        sentence="Restart the gate.",
        wanted=lambda one: one.channel == Channel.HELLO,
        within=60.0,
    )
    came = yield from ask(question)
    if isinstance(came, Reply):
        raise CannotJudgeError("the gate could not be restarted, or did not come back")
    yield from listen(2 * ARRIVAL)
    faults = []
    said = came.message
    if isinstance(said, Hello) and said.policy != held.digest:
        faults.append("hello does not name the snapshot that was held")
    seen = yield from shown(stage)
    how = seen.let_in.moved
    if from_another(stage, seen, held):
        faults.append(f"an older snapshot took its place ({how or 'it denied by that'})")
    elif how is not None:
        forgot = "the newest order to lock down" if follows_orders else "what it held"
        faults.append(f"{forgot} was forgotten ({how})")
    if isinstance(said, Hello) or faults:
        good = "hello names it, and it was gone by"
        stage.judge("GK-G-169", kept=not faults, good=good, bad="; ".join(faults))
    yield from lets_in(stage)
