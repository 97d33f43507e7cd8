"""`gatekeeper audit check-proof`: the proof of one entry, checked offline and without any of the server's packages.

Exit 0 when it is valid, 1 when it is not, and 3 when it cannot be checked.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.cli.asked import JsonOutput
from gatekeeper.cli.log.brought import read_policy
from gatekeeper.cli.log.told import cannot_check, witness_document, witness_words
from gatekeeper.cli.talk import json_line, say
from gatekeeper.service.auditor.findings import CannotCheckError
from gatekeeper.service.auditor.proof import Proven, check_proof
from gatekeeper.service.words import shown
from gatekeeper.transparency import Policy, Refused, Verifier, parse_verifier

__all__ = ["check"]

_INVALID = 1


def check(
    proof: Annotated[Path, typer.Argument(metavar="FILE", help="The proof, FILE.tlog-proof.")],
    entry: Annotated[
        Path | None, typer.Option(help="The entry; without it FILE.entry.json beside the proof.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="The log's public key, as the site publishes it; repeatable.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Which logs and witnesses are believed (C2SP tlog-policy).")
    ] = None,
    json_output: JsonOutput = False,
) -> None:
    """Check that an entry is in the log, offline: its proof, the log's signature, and who witnessed it.

    Exit 0: valid. Exit 1: INVALID. Exit 3: it could not be checked.
    """
    try:
        logs = [_key(text) for text in key or ()]
        believed = None if policy is None else read_policy(policy)
        beside = proof.with_suffix(".entry.json") if entry is None else entry
        found = check_proof(proof.read_bytes(), beside.read_bytes(), logs=logs, policy=believed)
        if json_output:
            json_line(_document(found, believed))
        else:
            _tell(found, believed)
    except CannotCheckError as error:
        raise cannot_check(str(error), json_output=json_output) from error
    except OSError as error:
        raise cannot_check(f"{error.filename}: {error.strerror}.", json_output=json_output) from error
    except Exception as error:
        # Not even a defect of ours may end with the code that says INVALID.
        raise cannot_check(f"{type(error).__name__}: {error}", json_output=json_output) from error
    raise typer.Exit(0 if isinstance(found, Proven) else _INVALID)


def _key(text: str) -> Verifier:
    key = parse_verifier(text)
    if isinstance(key, Refused):
        raise CannotCheckError(f"--key: {key.code.sentence}")
    return key


# -- what is said -------------------------------------------------------------------------------------------------------


def _document(found: Proven | str, policy: Policy | None) -> dict[str, Any]:
    if isinstance(found, str):
        return {"valid": False, "problem": found}
    return {
        "valid": True,
        "site": found.site,
        "entry": found.seq,
        "origin": found.origin,
        "index": found.index,
        "size": found.size,
        "root": found.root.hex(),
        "witnesses": [witness_document(one) for one in found.witnesses],
        "not_checked": _unchecked(policy),
    }


def _tell(found: Proven | str, policy: Policy | None) -> None:
    if isinstance(found, str):
        say(f"INVALID: {found}")
        return
    for one in found.witnesses:
        say(f"Witnessed by {witness_words(one)}.")
    for thing in _unchecked(policy):
        say(f"Not checked: {thing}.")
    say(
        f"Valid: entry {found.seq} of {shown(found.site)} is in {shown(found.origin)} at {found.index},"
        f" under the signed checkpoint of {found.size} entries; root {found.root.hex()}."
    )


def _unchecked(policy: Policy | None) -> list[str]:
    unchecked = ["what of the entry is personal: it is not in it"]
    if policy is None or policy.quorum is None:
        unchecked.append("that others saw the same log: no --policy asks for witnesses")
    return unchecked
