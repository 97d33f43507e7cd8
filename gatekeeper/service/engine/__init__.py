"""The engine of one site: intake, verify, decide, commit, actuate. `engine` is the story; the rest are its parts."""

from gatekeeper.service.engine.engine import Engine, EngineParts, WitnessParts

__all__ = ["Engine", "EngineParts", "WitnessParts"]
