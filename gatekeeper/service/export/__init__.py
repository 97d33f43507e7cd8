"""Exports that prove themselves: a bundle is planned, then written segment by segment, in constant memory.

    source     what is read of the log                     planning   what a bundle will hold, and its proofs
    partial    the file as it grows, and after a crash     writing    the segments, one behind the other
    parquet    its table for programs, as an extra         inside/    what lies in every bundle: how to check it

What a bundle says and how it is spelled is `core/export`; the commands are `cli/log_export` and `cli/bundles`.
"""
