"""`gatekeeper audit verify`: a bundle is checked offline, or the log in its database.

Exit 0 when everything that was looked at is as it must be, 1 when it is not, and 3 when it cannot be looked at. Nothing of
the server is imported for a bundle, so that an auditor installs no server.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.cli.asked import Data, Dsn, JsonOutput, Site, VaultDsn
from gatekeeper.cli.extras import loaded
from gatekeeper.cli.log.brought import memory_at_home, read_policy, read_roots
from gatekeeper.cli.log.told import (
    CANNOT_CHECK,
    cannot_check,
    finding_document,
    other_key_known,
    seen_document,
    witness_document,
    witness_words,
)
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.core.export import proves
from gatekeeper.service.auditor import CannotCheckError, Fault, Known, Memory, Report, verify_bundle
from gatekeeper.service.words import counted
from gatekeeper.transparency import Refused, SignatureType, Verifier, parse_verifier

__all__ = ["verify"]

_INVALID = 1


def verify(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            help="The file that `audit export` wrote; without it the log in its database is verified."
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The log's public key, as the site publishes it.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Which logs and witnesses to believe (C2SP tlog-policy)."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A checkpoint from a gate, a witness or earlier; may be repeated."),
    ] = None,
    tsa_roots: Annotated[
        Path | None,
        typer.Option(
            "--tsa-roots",
            help="Root certificates (PEM) of time-stamping authorities to believe.",
        ),
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option(
            "--memory", help="Folder that remembers keys and checkpoints of logs, else in your home."
        ),
    ] = None,
    no_memory: Annotated[
        bool, typer.Option("--no-memory", help="Recall nothing and remember nothing.")
    ] = False,
    hashes_only: Annotated[
        bool,
        typer.Option("--hashes-only", help="Of a bundle: leave out what entries, openings and tables say."),
    ] = False,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Verify a bundle offline, or re-hash every stored body, rebuild every tree, and compare with what was signed and seen.

    Exit 0: valid. Exit 1: INVALID. Exit 3: it could not be checked.
    """
    pinned = None if key is None else _key(key)

    def bring() -> Known:
        return Known(
            key=pinned,
            policy=None if policy is None else read_policy(policy),
            notes=[(str(note), note.read_bytes()) for note in checkpoint or ()],
            stamp=None if tsa_roots is None else read_roots(tsa_roots),
            memory=None if no_memory else Memory(memory or memory_at_home()),
        )

    if bundle is None:
        _refuse({"--hashes-only": hashes_only}, "a bundle")
        of_server = loaded("gatekeeper.cli.log.audit", "Without a bundle, audit verify")
        of_server.verify_database(
            bring=bring, json_output=json_output, data=data, site=site, dsn=dsn, vault_dsn=vault_dsn
        )
    of_log = {"--data": data, "--site": site, "--dsn": dsn, "--vault-dsn": vault_dsn}
    _refuse(of_log, "the log in its database")
    if bundle is not None:
        if bundle.suffix == ".tlog-proof":
            raise cannot_check(
                f"{bundle} is the proof of one entry: gatekeeper audit check-proof checks it.",
                json_output=json_output,
            )
        _verify(bundle, bring, hashes_only=hashes_only, json_output=json_output)


def _refuse(options: Mapping[str, object], what: str) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise typer.BadParameter(f"{given[0]} is for {what}.")


def _verify(bundle: Path, bring: Callable[[], Known], *, hashes_only: bool, json_output: bool) -> None:
    try:
        known = bring()
        with nullcontext(_silent) if json_output else progress("verifying", None) as told:
            report = verify_bundle(bundle, known=known, hashes_only=hashes_only, progress=told)
        remembered = _keep(report, known.memory)
        if json_output:
            json_line(_document(report))
        else:
            _tell(report, remembered)
            _tell_other_key(report, known)
    except CannotCheckError as error:
        raise cannot_check(str(error), json_output=json_output) from error
    except OSError as error:
        raise cannot_check(
            f"{error.filename or bundle}: {error.strerror}.", json_output=json_output
        ) from error
    except Exception as error:
        # Not even a defect of ours may end with the code that says INVALID.
        raise cannot_check(f"{type(error).__name__}: {error}", json_output=json_output) from error
    raise typer.Exit(_INVALID if report.finding is not None else CANNOT_CHECK if report.lacking else 0)


def _silent(_done: int, _of: int | None = None) -> None:
    """Tell nobody."""


def _key(text: str) -> Verifier:
    key = parse_verifier(text)
    if isinstance(key, Refused):
        raise typer.BadParameter(f"--key: {key.code.sentence}")
    if key.type is not SignatureType.ED25519:
        raise typer.BadParameter("--key: this is the key of a witness; the log's own is asked for.")
    return key


def _keep(report: Report, memory: Memory | None) -> str:
    """Remember the checkpoint of a valid bundle; what to say of it."""
    manifest = report.manifest
    if memory is None or manifest is None or not report.valid:
        return ""
    if report.key is None:
        return "Nothing is remembered: it is not known whose checkpoint this is."
    note = report.note if report.fit_to_remember else None
    memory.keep(manifest.origin, key=report.key, size=manifest.size, note=note)
    entries = counted(manifest.size, "entry", "entries")
    return f"The checkpoint of {entries} is remembered." if note else "The newer checkpoint stays remembered."


# -- what is told ------------------------------------------------------------------------------------------------------


def _document(report: Report) -> dict[str, Any]:
    """A report as JSON."""
    manifest, counts = report.manifest, report.counts
    return {
        "verdict": "INVALID" if report.finding is not None else "cannot check" if report.lacking else "valid",
        "finding": None if report.finding is None else finding_document(report.finding),
        "lacking": report.lacking,
        "origin": None if manifest is None else manifest.origin,
        "size": None if manifest is None else manifest.size,
        "root": None if manifest is None else manifest.root.hex(),
        "entries": counts.entries,
        "withheld": counts.withheld,
        "expired": _expired(report),
        "personal": counts.personal,
        "openings": counts.openings,
        "rows": counts.rows,
        "key": None if report.key is None else report.key.key(),
        "witnesses": [witness_document(one) for one in report.witnesses],
        "stamped": None if report.stamped is None else report.stamped.at,
        "stamped_size": None if report.stamped is None else report.stamped.size,
        "consistent_with": [seen_document(one) for one in report.consistent_with],
        "proves": [] if manifest is None or not report.valid else proves(manifest),
        "not_checked": report.unchecked,
    }


def _expired(report: Report) -> int:
    expired = None if report.manifest is None else report.manifest.expired
    return 0 if expired is None else expired.entries


def _tell(report: Report, remembered: str) -> None:
    if report.finding is not None:
        say(f"INVALID: {report.finding}")
        return
    manifest, counts = report.manifest, report.counts
    if manifest is None:
        return
    for sentence in report.lacking:
        say(f"Cannot check: {sentence}")
    for witness in report.witnesses:
        say(f"Witnessed by {witness_words(witness)}.")
    if report.stamped is not None:
        say(
            f"Stamped: the checkpoint of {counted(report.stamped.size, 'entry', 'entries')} was there at "
            f"{report.stamped.at.isoformat()}, as an authority says whose root you gave."
        )
    for one in report.consistent_with:
        say(f"One with the checkpoint of {counted(one.size, 'entry', 'entries')} in {one.where}.")
    for thing in report.unchecked:
        say(f"Not checked: {thing}.")
    if report.lacking:
        return
    for sentence in proves(manifest):
        say(sentence)
    if remembered:
        say(remembered)
    expired = _expired(report)
    say(
        f"Valid: {counted(counts.entries, 'entry', 'entries')}, {counts.withheld} withheld, "
        f"{f'{expired} expired, ' if expired else ''}"
        f"{counted(counts.openings, 'personal part')} opened, {counted(counts.rows, 'row')}; {manifest.origin} at "
        f"{counted(manifest.size, 'entry', 'entries')}, root {manifest.root.hex()}."
    )


def _tell_other_key(report: Report, known: Known) -> None:
    finding, manifest, memory = report.finding, report.manifest, known.memory
    if finding is None or finding.code is not Fault.CHECKPOINT_KEY or manifest is None or memory is None:
        return
    if known.key is None and memory.recall(manifest.origin).keys:
        say(other_key_known(memory, manifest.origin))
