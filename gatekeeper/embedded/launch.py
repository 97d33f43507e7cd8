"""The last step before a server runs: become the child it should be, then become its program.

Run by path in a fresh interpreter, so that no Python runs between fork and exec in a process with threads:

    python -I -S launch.py PARENT UID GID SIGNAL PROGRAM [ARGUMENT...]

It gives up root, asks the kernel for SIGNAL when the parent dies, and executes PROGRAM. The order matters: a
change of uid clears the request. Imports nothing of ours and nothing installed.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def become(parent: int, uid: int, gid: int, farewell: int, command: list[str]) -> None:
    """Replace this process by `command`, run as `uid` and tied to the life of `parent`."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, farewell)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    _parent, _uid, _gid, _farewell = map(int, sys.argv[1:5])
    become(_parent, _uid, _gid, _farewell, sys.argv[5:])
