"""The story of a scan, told in pure functions: scan, verify, decide, audit, actuate; presence beside it.

Nothing here does I/O, asks a clock or draws a random number: `now` and entropy are arguments. Read `flow` first.
"""
