"""Alembic's door into this folder."""

from gatekeeper.adapters.sql import run_migrations

run_migrations()
