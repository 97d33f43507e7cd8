"""What a bundle proves and what it does not, in words: for VERIFY.txt, and for a verifier to say when it has checked it."""

from gatekeeper.core.export.manifest import Expiry, Manifest

__all__ = ["bewijst", "proves"]


def proves(manifest: Manifest) -> list[str]:
    """What a bundle proves, and what not; a sentence each."""
    start, end = manifest.range
    where = f"leaves {start} to {end}, the last one excluded, of the log {manifest.origin} at {manifest.size} entries"
    says = [f"The lines of entries/ are the {where}: none is missing, added, altered or in another place."]
    if manifest.expired is not None:
        says.append(
            f"Of these the first {manifest.expired.entries} expired: the log had deleted what was said there, and has only the "
            f"hashes. They lead to the root, but what happened then, and when, is lost. {_told_by(manifest.expired)}"
        )
    if manifest.selection:
        says.append(
            "A filter was applied: what it left out is there as hashes. That nothing of it fits the filter is NOT proved."
        )
    if manifest.since is not None or manifest.until is not None:
        says.append(
            "The times are those of the log. The entries at the borders show that nothing within was cut away, as long as "
            "the clock of the log did not run backwards."
        )
    says.append("Who exported this and why is an entry of the same log, and is proved with it.")
    return says


def bewijst(manifest: Manifest) -> list[str]:
    """The same in Dutch."""
    start, end = manifest.range
    where = f"bladeren {start} tot {end} (niet inbegrepen) van het log {manifest.origin} bij {manifest.size} vermeldingen"
    says = [
        f"De regels van entries/ zijn de {where}: er ontbreekt niets, en niets is toegevoegd, veranderd of verplaatst."
    ]
    if manifest.expired is not None:
        says.append(
            f"Van de eerste {manifest.expired.entries} hiervan is de termijn verlopen: het log had verwijderd wat er stond, en "
            f"heeft alleen de hashes nog. Die leiden tot de wortel, maar wat er toen gebeurde, en wanneer, is verloren. "
            f"{_verteld(manifest.expired)}"
        )
    if manifest.selection:
        says.append(
            "Er is gefilterd: wat niet is opgenomen staat er als hash. Dat niets daarvan aan het filter voldoet, is NIET bewezen."
        )
    if manifest.since is not None or manifest.until is not None:
        says.append(
            "De tijden zijn die van het log. De vermeldingen aan de randen tonen dat daarbinnen niets is afgeknipt, zolang "
            "de klok van het log niet is teruggelopen."
        )
    says.append("Wie dit uitvoerde en waarom, is een vermelding in hetzelfde log, en is mee bewezen.")
    return says


def _told_by(expired: Expiry) -> str:
    if expired.told_by is None:
        return "No entry that says so is known any more."
    first, last = expired.told_by
    return f"The entries data.expired from {first} to {last} of the site's log say what was deleted."


def _verteld(expired: Expiry) -> str:
    if expired.told_by is None:
        return "Een vermelding die dat zegt is niet meer bekend."
    first, last = expired.told_by
    return f"De vermeldingen data.expired van {first} tot en met {last} in het log van de locatie zeggen wat is verwijderd."
