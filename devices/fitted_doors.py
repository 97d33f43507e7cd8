"""The hardware of a gate's doors at work: what it feels becomes events, and what was decided moves it.

    reader                                      -> a badge is offered
    contact, exit button, tamper, fire, heard   -> an event each time it changes
    bypass                                      -> an event each time a device opens by itself
    Unlock, Lock                                -> strike
    Show, CallOut                               -> display

It decides nothing. A piece of hardware that fails raises, and so ends the gate: what is locked stays locked.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final, TypeAlias

from devices.core.events import (
    CallOut,
    ContactClosed,
    ContactOpened,
    Event,
    ExitRequested,
    FireCleared,
    FireDetected,
    Lock,
    OpenedItself,
    ReaderHeard,
    ReaderLost,
    Show,
    TamperCleared,
    TamperOpened,
    Unlock,
)
from devices.hardware.ports import Badge, Bypass, Contact, Fittings, Reader, Switch
from gatekeeper.model.ids import AccessPointId

__all__ = ["FittedDoors"]

_Watch: TypeAlias = tuple[str, Coroutine[Any, Any, None]]


class FittedDoors:
    """The fittings of one gate. `tell` takes what happens, `offer` a badge at a reader; both in the event loop."""

    def __init__(
        self,
        fittings: Mapping[AccessPointId, Fittings],
        *,
        tell: Callable[[Event], None],
        offer: Callable[[AccessPointId, Badge], object],
    ) -> None:
        self._fittings: Final = fittings
        self._tell: Final = tell
        self._offer: Final = offer
        self._burning: Final[set[AccessPointId]] = set()

    def __contains__(self, access_point: AccessPointId) -> bool:
        """Whether an access point has hardware of its own."""
        return access_point in self._fittings

    # -- what it feels ------------------------------------------------------------------------------------------------

    def watches(self) -> Iterator[_Watch]:
        """What is to run, each by its name, for as long as the gate is at work."""
        for access_point, fitted in self._fittings.items():
            yield from self._watches_of(access_point, fitted)

    def _watches_of(self, access_point: AccessPointId, fitted: Fittings) -> Iterator[_Watch]:
        yield f"reader {access_point}", self._read(access_point, fitted.reader)
        if fitted.contact is not None:
            yield f"contact {access_point}", self._feel(access_point, fitted.contact)
        if fitted.tamper is not None:
            tampered = (TamperOpened(access_point), TamperCleared(access_point))
            yield f"tamper {access_point}", self._watch(fitted.tamper, *tampered)
        if fitted.heard is not None:
            heard = (ReaderHeard(access_point), ReaderLost(access_point))
            yield f"heard {access_point}", self._watch(fitted.heard, *heard)
        if fitted.bypass is not None:
            yield f"bypass {access_point}", self._bypassed(access_point, fitted.bypass)
        if fitted.request_to_exit is not None:
            yield f"exit {access_point}", self._let_out(access_point, fitted.request_to_exit)
        if fitted.fire is not None:
            yield f"fire {access_point}", self._sense(access_point, fitted.fire)

    async def _read(self, access_point: AccessPointId, reader: Reader) -> None:
        async for badge in reader.badges():
            self._offer(access_point, badge)

    async def _feel(self, access_point: AccessPointId, contact: Contact) -> None:
        async for opened in contact.changes():
            self._tell(ContactOpened(access_point) if opened else ContactClosed(access_point))

    async def _watch(self, switch: Switch, so: Event, not_so: Event) -> None:
        async for is_so in switch.changes():
            self._tell(so if is_so else not_so)

    async def _let_out(self, access_point: AccessPointId, button: Switch) -> None:
        """Tell each time the button is pressed; one that is down when the gate starts was pressed before, or is stuck."""
        is_first = True
        async for pressed in button.changes():
            if pressed and not is_first:
                self._tell(ExitRequested(access_point))
            is_first = False

    async def _bypassed(self, access_point: AccessPointId, bypass: Bypass) -> None:
        async for _ in bypass.openings():
            self._tell(OpenedItself(access_point))

    async def _sense(self, access_point: AccessPointId, panel: Switch) -> None:
        """It burns for the whole gate while any of its inputs says so."""
        async for on in panel.changes():
            if on:
                self._burning.add(access_point)
            else:
                self._burning.discard(access_point)
            self._tell(FireDetected() if self._burning else FireCleared())

    # -- what moves it ------------------------------------------------------------------------------------------------

    def move(self, moved: Unlock | Lock) -> None:
        """Release a strike, or secure it."""
        if moved.access_point in self._fittings:
            strike = self._fittings[moved.access_point].strike
            if isinstance(moved, Unlock):
                strike.release(moved.lasting)
            else:
                strike.secure()

    def show(self, shown: Show | CallOut) -> None:
        """Tell whoever stands at the reader."""
        if shown.access_point not in self._fittings:
            return
        display = self._fittings[shown.access_point].display
        if isinstance(shown, Show):
            display.show(shown.signal, reason=shown.reason, entry=shown.entry)
        else:
            display.show(shown.signal, reason=None, entry=None)
