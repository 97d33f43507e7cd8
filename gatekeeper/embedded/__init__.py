"""A private PostgreSQL and a private Mosquitto: what demo, development and tests run on by default.

Both are real servers, started as child processes on a unix socket and on the loopback, kept in a folder
between runs, and stopped with the process. Nothing else in the program knows them: they hand out an
ordinary DSN and an ordinary broker address.

Deliberately not for production: no TLS, no replication, no backup, no service manager. Linux only: the
promise that a child falls with its parent is kept by the Linux kernel.
"""

from gatekeeper.embedded.broker import EmbeddedBroker, Role
from gatekeeper.embedded.errors import EmbeddedServerError
from gatekeeper.embedded.postgres import EmbeddedPostgres

__all__ = ["EmbeddedBroker", "EmbeddedPostgres", "EmbeddedServerError", "Role"]
