"""A site where a grant waits for a guard."""

from typing import Any

from gatekeeper.core.change import GuardChange
from gatekeeper.core.flow import Recorded
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from tests.support.sites import HOST, SITE, Sent, SmallSite, key_of, site_document

__all__ = ["Watched"]


class Watched(SmallSite):
    """A small site whose yard wants a guard's eyes for twenty seconds."""

    def __init__(self) -> None:
        super().__init__()
        document = site_document()
        document["zone"][1]["rules"] = {"guard_check": {"seconds": 20}}
        source = sign_policy(document, site=SITE, key=key_of(f"{HOST} signing"))
        policy = compile_from(source, trust=self.flow.trust)
        assert not isinstance(policy, PolicyRefused), policy
        self.flow.adopt(policy, source=source, trust=self.flow.trust)

    def ask(self) -> tuple[Sent, Recorded]:
        sent = self.scan("front-in", "sergeant")
        return sent, self.recorded(sent)

    def say(self, entry: int, *, yes: bool) -> Any:
        return self.supervise(GuardChange(entry=entry, yes=yes))
