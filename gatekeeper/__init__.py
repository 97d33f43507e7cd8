"""Gatekeeper: event-driven physical access control for the gate."""

__version__ = "0.1.0"
