"""The integrity watch: the log is compared with its hashes again and again, while the engine goes on with its work.

    walk    one round over all trees, a bundle at a time, wherever it was interrupted
    watch   round after round, at a pace; what does not fit is an alarm and an entry, once for each place

What is compared is not known here but in `transparency.comparing`. What stands in the bodies, and whether personal parts
are those committed to, `gatekeeper audit verify` looks at.
"""

from gatekeeper.service.integrity.watch import IntegrityWatch

__all__ = ["IntegrityWatch"]
