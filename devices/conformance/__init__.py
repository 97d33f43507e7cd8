"""Whether a foreign gate keeps the contract of `schemas/`, pure: what it says and when come in, findings come out.

    requirements   every requirement of schemas/MAKERS.md, by its id
    findings       what is found of each
    reading        bytes of a foreign gate: what they say, and every requirement that they break
    service        the service's words, true and forged
    provisions     what the service gives a gate to decide by when it is alone
    forgeries      such things as no gate may believe
    script         what a trial can do: send, listen, ask whoever stands at the gate
    stage          one examination's memory: what was heard, and what is answered without asking
    trials         what is done to the gate, and what is made of its answers
    throughout     what holds for the whole conversation
    examination    the machine around them
    report         findings as a table and as JSON

Read `examination` first, then `trials`. Here is no clock, no chance, no broker, no file: `devices.examination` has them. What
it judges with is the product's own reading; it believes nothing of the gate, and tells everything it saw.
"""
