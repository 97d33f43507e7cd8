"""Readers that exist today, each as a gate of its own at assurance 0.

A bridge is a gate whose reader and strike are topics. It has an identity and a signing key like every gate, so what it says
can never be taken for the word of a gate that checks badges itself. What such a reader says is believed no further than a bare
card number goes: whoever reaches the broker in its name can say the same.
"""
