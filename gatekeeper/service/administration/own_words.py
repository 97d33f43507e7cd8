"""The words of a person's own data, each in English and in Dutch: what kinds of entries, fields and values are called."""

from collections.abc import Mapping
from typing import Final

from gatekeeper.model.people import Names

__all__ = ["FIELDS", "KINDS", "PHRASES", "VALUES"]


def _said(english: str, dutch: str) -> Names:
    return Names(en=english, nl=dutch)


PHRASES: Final[Mapping[str, Names]] = {
    "language": _said("English", "Nederlands"),
    "title": _said("Your own data", "Uw eigen gegevens"),
    "all": _said("All that {site} knows of you, as of {at}.", "Alles wat {site} van u weet, op {at}."),
    "clock": _said(
        "All times are by the clock of the site ({zone}).",
        "Alle tijden zijn volgens de klok van het terrein ({zone}).",
    ),
    "looked": _said(
        "That it was looked up for you stands in the log as entry {entry}.",
        "Dat dit voor u is ingezien staat in het logboek als regel {entry}.",
    ),
    "registration": _said("What is registered", "Wat geregistreerd is"),
    "photo": _said("Your photo", "Uw foto"),
    "badges": _said("Badges", "Passen"),
    "badge": _said("Badge", "Pas"),
    "whereabouts": _said(
        "Where you are, as far as the site knows", "Waar u bent, voor zover het terrein dat weet"
    ),
    "movements": _said("Where you were, and wanted to be", "Waar u was, en wilde zijn"),
    "lookings": _said("Who looked at that, and what for", "Wie dat heeft ingezien, en waarvoor"),
    "others": _said("What else the log says of you", "Wat het logboek verder over u zegt"),
    "nothing": _said("Nothing.", "Niets."),
    "yes": _said("yes", "ja"),
    "no": _said("no", "nee"),
    "entry": _said("Entry", "Regel"),
    "when": _said("When", "Wanneer"),
    "told": _said("told at {at}.", "gemeld op {at}."),
    "own clock": _said("By the gate's own clock;", "Volgens de eigen klok van de poort;"),
    "what": _said("What", "Wat"),
    "where": _said("Where", "Waar"),
    "why": _said("Why", "Waarom"),
    "who": _said("Who", "Wie"),
    "purpose": _said("What for", "Waarvoor"),
    "details": _said("Details", "Bijzonderheden"),
    "version": _said("version {version}", "versie {version}"),
    "new badges": _said("new badge: {badges}", "nieuwe pas: {badges}"),
    "changed": _said("{field}: {before} → {after}", "{field}: {before} → {after}"),
    "none": _said("none", "geen"),
}

KINDS: Final[Mapping[str, Names]] = {
    "access.granted": _said("let in", "toegelaten"),
    "access.denied": _said("refused", "geweigerd"),
    "access.waiting": _said("waited for a guard", "wachtte op een bewaker"),
    "access.accompanied": _said("came along with somebody", "ging met iemand mee"),
    "access.offline-granted": _said("let in by the gate alone", "toegelaten door de poort alleen"),
    "access.offline-denied": _said("refused by the gate alone", "geweigerd door de poort alleen"),
    "passage.taken": _said("went through", "ging erdoor"),
    "passage.not-taken": _said("did not go through", "ging er niet door"),
    "passage.forced": _said("the door was forced", "de deur werd geforceerd"),
    "passage.held-open": _said("the door was held open", "de deur werd opengehouden"),
    "person.looked-up": _said("your movements were looked at", "uw bewegingen zijn ingezien"),
    "log.exported": _said("your movements were exported", "uw bewegingen zijn geëxporteerd"),
    "holder.registered": _said("you were registered", "u bent geregistreerd"),
    "holder.changed": _said("your registration was changed", "uw registratie is gewijzigd"),
    "badge.changed": _said("the state of your badge was changed", "de toestand van uw pas is gewijzigd"),
    "presence.forgiven": _said("where you were was forgotten", "waar u was is vergeten"),
    "hold.placed": _said("what is known of you must be kept", "wat van u bekend is moet bewaard blijven"),
    "hold.lifted": _said("that need not be kept any more", "dat hoeft niet meer bewaard te blijven"),
    "proposal.made": _said("something was proposed about you", "er is iets over u voorgesteld"),
}

FIELDS: Final[Mapping[str, Names]] = {
    "holder": _said("Number", "Nummer"),
    "tenant": _said("Organisation", "Organisatie"),
    "name": _said("Name", "Naam"),
    "kind": _said("Kind", "Soort"),
    "clearance": _said("Clearance", "Screeningsniveau"),
    "profiles": _said("Access profiles", "Toegangsprofielen"),
    "from": _said("From", "Vanaf"),
    "until": _said("Until", "Tot"),
    "certificates": _said("Certificates", "Certificaten"),
    "host": _said("Received by", "Ontvangen door"),
    "version": _said("Version", "Versie"),
    "pin": _said("Has a PIN", "Heeft een pincode"),
    "badge": _said("Number", "Nummer"),
    "standing": _said("State", "Toestand"),
    "assurance": _said("What it proves", "Wat de pas bewijst"),
    "ceiling": _said("Highest level", "Hoogste niveau"),
    "max_uses": _said("Uses at most", "Gebruik ten hoogste"),
    "card": _said("Card number", "Kaartnummer"),
    "uses": _said("Uses", "Gebruik"),
    "last_used": _said("Last used", "Laatst gebruikt"),
    "locked_until": _said("Locked until", "Geblokkeerd tot"),
    "zone": _said("Zone", "Zone"),
    "since": _said("Since", "Sinds"),
    "quality": _said("How it is known", "Hoe dat bekend is"),
    "access_point": _said("Last door", "Laatste deur"),
    "seq": _said("Entry of the log", "Regel van het logboek"),
    "came_with": _said("Came with", "Kwam met"),
}

_STATES: Final[Mapping[str, Names]] = {
    "active": _said("active", "actief"),
    "suspended": _said("suspended", "geschorst"),
    "lost": _said("lost", "verloren"),
    "stolen": _said("stolen", "gestolen"),
    "revoked": _said("revoked", "ingetrokken"),
    "taken away": _said("taken away", "afgenomen"),
    "not yet": _said("not valid yet", "nog niet geldig"),
    "ended": _said("ended", "verlopen"),
}

VALUES: Final[Mapping[str, Mapping[str, Names]]] = {
    "kind": {
        "staff": _said("staff", "medewerker"),
        "contractor": _said("contractor", "ingehuurd"),
        "visitor": _said("visitor", "bezoeker"),
        "reservist": _said("reservist", "reservist"),
        "vehicle": _said("vehicle", "voertuig"),
    },
    "standing": _STATES,
    "state": _STATES,
    "quality": {
        "granted": _said(
            "you were let in; the door did not report back", "u bent toegelaten; de deur meldde niets"
        ),
        "taken": _said("the door saw you go through", "de deur zag u erdoor gaan"),
        "forced": _said("the door was forced", "de deur werd geforceerd"),
        "operator": _said("a guard said so", "een bewaker zei het"),
    },
    "assurance": {
        "0": _said("0: a card number only", "0: alleen een kaartnummer"),
        "1": _said("1: that you have the pass", "1: dat u de pas hebt"),
        "2": _said("2: that it is no copy", "2: dat hij geen kopie is"),
        "3": _said("3: that it is no copy, and you", "3: dat hij geen kopie is, en u bent het"),
    },
}
"""What fields hold, where that is one of a few words."""
