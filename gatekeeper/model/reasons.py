"""Every reason a decision can give, and every code a refused message can get. Codes are never reused.

A reason's name and number are BACnet's `AccessEvent` (ASHRAE 135, clause 21) where BACnet has one; numbers from 512
are ours, as BACnet leaves them to vendors. ONVIF's word is what integrators see at the edge (Access Control Service,
`tns1:AccessControl/Denied`). One reason goes to the reader, all go to the log.
"""

from enum import Enum, StrEnum

__all__ = ["MessageRefusal", "OnvifReason", "Reason"]


class OnvifReason(StrEnum):
    """The values of `Reason` in ONVIF's Denied event, and the topics that have none."""

    GRANTED = "AccessGranted"
    CREDENTIAL_NOT_FOUND = "CredentialNotFound"
    CREDENTIAL_NOT_ENABLED = "CredentialNotEnabled"
    CREDENTIAL_NOT_ACTIVE = "CredentialNotActive"
    CREDENTIAL_EXPIRED = "CredentialExpired"
    INVALID_PIN = "InvalidPIN"
    NOT_PERMITTED_AT_THIS_TIME = "NotPermittedAtThisTime"
    UNAUTHORIZED = "Unauthorized"
    OTHER = "Other"


class Reason(Enum):
    """One reason: code, BACnet number, ONVIF word, and a sentence in English and in Dutch."""

    GRANTED = (
        "granted",
        1,
        OnvifReason.GRANTED,
        "Access is granted.",
        "Toegang verleend.",
    )
    PASSBACK_DETECTED = (
        "passback-detected",
        3,
        OnvifReason.GRANTED,
        "The holder is in this zone already; it is reported, not refused.",
        "De houder is al in deze zone; gemeld, niet geweigerd.",
    )
    DURESS = (
        "duress",
        4,
        OnvifReason.GRANTED,
        "The holder signals duress; the door opens as always.",
        "De houder meldt dwang; de deur opent als altijd.",
    )
    VERIFICATION_REQUIRED = (
        "verification-required",
        15,
        OnvifReason.OTHER,
        "A guard must compare the face with the photo first.",
        "Eerst moet een wacht het gezicht met de foto vergelijken.",
    )
    DENY_ALL = (
        "denied-deny-all",
        128,
        OnvifReason.OTHER,
        "A lockdown is in force here.",
        "Hier geldt een lockdown.",
    )
    UNKNOWN_CREDENTIAL = (
        "denied-unknown-credential",
        129,
        OnvifReason.CREDENTIAL_NOT_FOUND,
        "This badge is not known.",
        "Deze pas is niet bekend.",
    )
    STALE_PROOF = (
        "denied-authentication-factor-timeout",
        131,
        OnvifReason.OTHER,
        "The scan came too late: its beacon counts no more, or its gate has given it up.",
        "De scan kwam te laat: zijn baken geldt niet meer, of zijn poort wacht niet meer op antwoord.",
    )
    WRONG_PROOF = (
        "denied-incorrect-authentication-factor",
        132,
        OnvifReason.UNAUTHORIZED,
        "The badge did not prove that it holds its key.",
        "De pas heeft zijn sleutel niet bewezen.",
    )
    NO_ACCESS_RIGHTS = (
        "denied-no-access-rights",
        135,
        OnvifReason.UNAUTHORIZED,
        "No access profile of the holder leads here.",
        "Geen toegangsprofiel van de houder leidt hierheen.",
    )
    OUT_OF_TIME_RANGE = (
        "denied-out-of-time-range",
        136,
        OnvifReason.NOT_PERMITTED_AT_THIS_TIME,
        "The holder's profiles lead here at other times.",
        "De profielen van de houder gelden hier op andere tijden.",
    )
    THREAT_LEVEL = (
        "denied-threat-level",
        137,
        OnvifReason.UNAUTHORIZED,
        "The alert state is higher than the holder's profiles allow.",
        "De alarmstaat is hoger dan de profielen van de houder toestaan.",
    )
    PASSBACK = (
        "denied-passback",
        138,
        OnvifReason.UNAUTHORIZED,
        "The holder is in this zone already.",
        "De houder is al in deze zone.",
    )
    UNEXPECTED_LOCATION = (
        "denied-unexpected-location-usage",
        139,
        OnvifReason.UNAUTHORIZED,
        "The holder is not in the zone that this access point leads out of.",
        "De houder is niet in de zone waar dit toegangspunt uit leidt.",
    )
    MAX_ATTEMPTS = (
        "denied-max-attempts",
        140,
        OnvifReason.INVALID_PIN,
        "The PIN was wrong too often.",
        "De pincode was te vaak fout.",
    )
    LOWER_OCCUPANCY = (
        "denied-lower-occupancy-limit",
        141,
        OnvifReason.UNAUTHORIZED,
        "Somebody would be alone in the zone.",
        "Iemand zou alleen in de zone zijn.",
    )
    UPPER_OCCUPANCY = (
        "denied-upper-occupancy-limit",
        142,
        OnvifReason.UNAUTHORIZED,
        "The zone is full.",
        "De zone is vol.",
    )
    BADGE_LOST = (
        "denied-authentication-factor-lost",
        143,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The badge is reported lost.",
        "De pas is als verloren gemeld.",
    )
    BADGE_STOLEN = (
        "denied-authentication-factor-stolen",
        144,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The badge is reported stolen.",
        "De pas is als gestolen gemeld.",
    )
    BADGE_SUSPENDED = (
        "denied-authentication-factor-disabled",
        147,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The badge is suspended.",
        "De pas is tijdelijk geblokkeerd.",
    )
    BADGE_FORGED = (
        "denied-authentication-factor-error",
        148,
        OnvifReason.UNAUTHORIZED,
        "The badge does not carry its tenant's signature.",
        "De pas draagt niet de handtekening van zijn huurder.",
    )
    BADGE_UNASSIGNED = (
        "denied-credential-unassigned",
        149,
        OnvifReason.UNAUTHORIZED,
        "No holder has this badge.",
        "Deze pas hoort bij geen houder.",
    )
    NOT_YET_ACTIVE = (
        "denied-credential-not-yet-active",
        151,
        OnvifReason.CREDENTIAL_NOT_ACTIVE,
        "The badge is not valid yet.",
        "De pas is nog niet geldig.",
    )
    EXPIRED = (
        "denied-credential-expired",
        152,
        OnvifReason.CREDENTIAL_EXPIRED,
        "The badge has expired.",
        "De pas is verlopen.",
    )
    REVOKED = (
        "denied-credential-manual-disable",
        153,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The badge is revoked.",
        "De pas is ingetrokken.",
    )
    MAX_USES = (
        "denied-credential-max-uses",
        156,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The badge has been used as often as it may be.",
        "De pas is zo vaak gebruikt als mag.",
    )
    INACTIVITY = (
        "denied-credential-inactivity",
        157,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The badge has not been used for too long.",
        "De pas is te lang niet gebruikt.",
    )
    SUPERSEDED = (
        "denied-credential-disabled",
        158,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The tenant's badges of this age are withdrawn.",
        "De passen van deze lichting zijn ingetrokken.",
    )
    NO_ACCOMPANIMENT = (
        "denied-no-accompaniment",
        159,
        OnvifReason.UNAUTHORIZED,
        "A second person must badge here within the time set.",
        "Een tweede persoon moet hier binnen de tijd zijn pas tonen.",
    )
    INCORRECT_ACCOMPANIMENT = (
        "denied-incorrect-accompaniment",
        160,
        OnvifReason.UNAUTHORIZED,
        "The other person does not count as the second one here.",
        "De andere persoon telt hier niet als tweede.",
    )
    LOCKOUT = (
        "denied-lockout",
        161,
        OnvifReason.CREDENTIAL_NOT_ENABLED,
        "The badge was refused too often and is locked out for a while.",
        "De pas is te vaak geweigerd en een tijd geblokkeerd.",
    )
    VERIFICATION_FAILED = (
        "denied-verification-failed",
        162,
        OnvifReason.UNAUTHORIZED,
        "The guard said no.",
        "De wacht heeft nee gezegd.",
    )
    VERIFICATION_TIMEOUT = (
        "denied-verification-timeout",
        163,
        OnvifReason.OTHER,
        "No guard answered in time.",
        "Geen wacht heeft op tijd geantwoord.",
    )
    NO_AGREEMENT = (
        "denied-no-agreement",
        512,
        OnvifReason.UNAUTHORIZED,
        "The tenant has no agreement in force.",
        "De huurder heeft geen geldende overeenkomst.",
    )
    AGREEMENT_CEILING = (
        "denied-agreement-ceiling",
        513,
        OnvifReason.UNAUTHORIZED,
        "The tenant's agreement does not reach this security level.",
        "De overeenkomst van de huurder reikt niet tot dit beveiligingsniveau.",
    )
    AGREEMENT_ZONE = (
        "denied-agreement-zone",
        514,
        OnvifReason.UNAUTHORIZED,
        "The tenant's agreement does not include this zone.",
        "De overeenkomst van de huurder omvat deze zone niet.",
    )
    HOST_VETO = (
        "denied-host-veto",
        515,
        OnvifReason.UNAUTHORIZED,
        "The host forbids this tenant here.",
        "De gastheer verbiedt deze huurder hier.",
    )
    CLEARANCE = (
        "denied-clearance",
        516,
        OnvifReason.UNAUTHORIZED,
        "The holder's clearance is below the zone's security level.",
        "De screening van de houder is lager dan het beveiligingsniveau van de zone.",
    )
    BADGE_CEILING = (
        "denied-badge-ceiling",
        517,
        OnvifReason.UNAUTHORIZED,
        "The badge is not made for this security level.",
        "De pas is niet gemaakt voor dit beveiligingsniveau.",
    )
    ASSURANCE = (
        "denied-assurance",
        518,
        OnvifReason.UNAUTHORIZED,
        "The zone demands a stronger proof than the badge gave.",
        "De zone eist een sterker bewijs dan de pas gaf.",
    )
    HOLDER_INACTIVE = (
        "denied-holder-inactive",
        519,
        OnvifReason.CREDENTIAL_NOT_ACTIVE,
        "The holder's registration is not in force.",
        "De inschrijving van de houder is niet van kracht.",
    )
    HOLDER_UNPROVEN = (
        "denied-holder-unproven",
        520,
        OnvifReason.UNAUTHORIZED,
        "The holder's registration does not carry the tenant's signature.",
        "De inschrijving van de houder draagt niet de handtekening van de huurder.",
    )
    UNKNOWN_ACCESS_POINT = (
        "denied-unknown-access-point",
        521,
        OnvifReason.OTHER,
        "This gate has no such access point.",
        "Deze poort heeft dit toegangspunt niet.",
    )
    BADGE_LIFE = (
        "denied-badge-life",
        522,
        OnvifReason.UNAUTHORIZED,
        "The badge lives longer than the tenant's agreement allows.",
        "De pas is langer geldig dan de overeenkomst van de huurder toestaat.",
    )
    TRUSTED_TIME = (
        "denied-untrusted-time",
        523,
        OnvifReason.OTHER,
        "The badge demands a gate with a synchronised clock.",
        "De pas eist een poort met een gelijkgezette klok.",
    )

    IMPOSSIBLE_TRAVEL = (
        "denied-impossible-travel",
        524,
        OnvifReason.UNAUTHORIZED,
        "The holder cannot have come here so soon from where the badge was used last.",
        "De houder kan hier niet zo snel zijn vanaf waar de pas het laatst is gebruikt.",
    )
    NO_ESCORT = (
        "denied-no-escort",
        525,
        OnvifReason.UNAUTHORIZED,
        "The holder enters only with a host, who must badge here too.",
        "De houder mag alleen met een gastheer naar binnen, die hier ook zijn pas toont.",
    )
    VISITORS_INSIDE = (
        "denied-visitors-inside",
        526,
        OnvifReason.UNAUTHORIZED,
        "The host leaves after the visitors.",
        "De gastheer gaat na de bezoekers weg.",
    )
    FIRST_PERSON = (
        "denied-first-person",
        527,
        OnvifReason.NOT_PERMITTED_AT_THIS_TIME,
        "Nobody who may open the zone has come in yet.",
        "Wie de zone mag openen, is nog niet binnen.",
    )
    INTERLOCK = (
        "denied-interlock",
        528,
        OnvifReason.OTHER,
        "Another door of this lock is open.",
        "Een andere deur van deze sluis is open.",
    )
    CERTIFICATE = (
        "denied-certificate",
        529,
        OnvifReason.UNAUTHORIZED,
        "The holder lacks a certificate that the zone demands, or it has ended.",
        "De houder mist een certificaat dat de zone eist, of het is verlopen.",
    )
    TENANT_SUSPENDED = (
        "denied-tenant-suspended",
        530,
        OnvifReason.UNAUTHORIZED,
        "The host has suspended the tenant.",
        "De gastheer heeft de huurder geschorst.",
    )
    PIN_MISSING = (
        "denied-pin-missing",
        531,
        OnvifReason.INVALID_PIN,
        "A PIN is asked here.",
        "Hier wordt een pincode gevraagd.",
    )
    PIN_WRONG = (
        "denied-pin-wrong",
        532,
        OnvifReason.INVALID_PIN,
        "The PIN is wrong.",
        "De pincode is fout.",
    )
    TENANT_EXCLUDED = (
        "denied-tenant-excluded",
        533,
        OnvifReason.UNAUTHORIZED,
        "The alert state keeps the tenant out.",
        "De alarmstaat houdt de huurder buiten.",
    )
    NOT_CALLED_UP = (
        "denied-not-called-up",
        534,
        OnvifReason.NOT_PERMITTED_AT_THIS_TIME,
        "The reservist is not called up now.",
        "De reservist is nu niet opgeroepen.",
    )
    NO_DRIVER = (
        "denied-no-driver",
        535,
        OnvifReason.UNAUTHORIZED,
        "A vehicle and its driver must both badge here.",
        "Een voertuig en zijn bestuurder moeten hier beiden hun pas tonen.",
    )
    SEARCH_SELECTED = (
        "search-selected",
        536,
        OnvifReason.GRANTED,
        "The holder is drawn for a search.",
        "De houder is geloot voor een controle.",
    )

    def __init__(self, code: str, bacnet: int, onvif: OnvifReason, english: str, dutch: str) -> None:
        """Spread the row over names."""
        self.code = code
        self.bacnet = bacnet
        self.onvif = onvif
        self.english = english
        self.dutch = dutch
        #: whether this reason stands for a refusal when its rule is enforced
        self.denies = code.startswith("denied-")

    @property
    def may_be_shadowed(self) -> bool:
        """Whether a site may have this only reported. What proves a badge, a lockdown and an unknown door always deny."""
        return self.denies and self.name not in _ALWAYS_DENY

    @classmethod
    def of_number(cls, number: int) -> "Reason | None":
        """Find a reason by the number that stands in an answer."""
        return _BY_NUMBER.get(number)


# INVARIANT: no right without a signature; no setting makes an exception.
_ALWAYS_DENY = frozenset(
    {
        "DENY_ALL",
        "UNKNOWN_CREDENTIAL",
        "STALE_PROOF",
        "WRONG_PROOF",
        "BADGE_FORGED",
        "BADGE_UNASSIGNED",
        "HOLDER_UNPROVEN",
        "UNKNOWN_ACCESS_POINT",
        "NO_ACCESS_RIGHTS",
        "NO_AGREEMENT",
    }
)
_BY_NUMBER = {reason.bacnet: reason for reason in Reason}


class MessageRefusal(StrEnum):
    """Why bytes from the broker never became a message. They go to the dead letters; nothing is answered.

    The codes of the signature check itself (`cose-*`, `cbor-*`) stand in `gatekeeper.cose`.
    """

    OVERSIZED = "message-oversized"
    RETAINED = "message-retained"
    FLOOD = "message-flood"
    TOPIC = "topic-unknown"
    MALFORMED = "message-malformed"
    UNKNOWN_GATE = "gate-unknown"
    FOREIGN_GATE = "gate-foreign"
    GATE_REVOKED = "gate-revoked"
    SEQUENCE_OLD = "sequence-old"
    SEQUENCE_CONFLICT = "sequence-conflict"

    @property
    def sentence(self) -> str:
        """What happened, for a person."""
        return _REFUSALS[self]


_REFUSALS = {
    MessageRefusal.OVERSIZED: "The message is larger than 8,192 bytes.",
    MessageRefusal.RETAINED: "The broker had retained this message; only live messages count.",
    MessageRefusal.FLOOD: "The gate sends faster than its allowance.",
    MessageRefusal.TOPIC: "The topic belongs to no gate of this site.",
    MessageRefusal.MALFORMED: "The signature is good, but the content is not a message of this kind.",
    MessageRefusal.UNKNOWN_GATE: "The trust list has no such gate.",
    MessageRefusal.FOREIGN_GATE: "The key belongs to another gate than the topic.",
    MessageRefusal.GATE_REVOKED: "The gate's key is revoked in the trust list: somebody still speaks in its name.",
    MessageRefusal.SEQUENCE_OLD: "The sequence is below the window, and no answer to it is held any more.",
    MessageRefusal.SEQUENCE_CONFLICT: "Two different messages carry the same boot id and sequence.",
}
