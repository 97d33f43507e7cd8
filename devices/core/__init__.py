"""The gate's rules, pure: events in, effects out, timers are effects, time and randomness are arguments.

    events       what can happen to a gate, and what it can do
    door         the state machine of one door
    belief       which answers and beacons count
    checkpoints  what is remembered of the site's log, and what contradicts it
    outbox       numbering, signing and remembering what goes up
    tally        what the gate saw, for whoever asks
    controller   the whole gate: each event to the part it concerns
    lane, turn   one access point; the step under way, and what it makes the gate do
    telling, believing, doors, orders, deciding, asking
                 the parts of the controller, each of which calls only those before it

Read `controller` first. Nothing here knows MQTT, asyncio, files or metal.
"""
