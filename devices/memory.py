"""How the C library of a gate's program treats what is freed.

glibc raises the size from which a block is its own mapping to that of the largest block it ever gave back, and keeps twice as much
of what was freed at the end of its heap. Once a snapshot of 6 MB was verified and read, that is 12 MB which nobody uses for as long as the gate
runs, and more with each that comes. With a size that stays as it is, what is large is given back as soon as it is free.
"""

import ctypes
from typing import Final

__all__ = ["give_back_at_once"]

_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD of malloc.h
_LARGE: Final = 128 * 1024  # what glibc begins with


def give_back_at_once() -> None:
    """Have large blocks go back to the system when they are freed; where the C library knows no such thing, it is left as it is."""
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_MMAP_THRESHOLD, _LARGE)
