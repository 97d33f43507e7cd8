"""`gatekeeper witness`: a witness of other people's logs, on a machine that is not theirs.

It needs no database server, no broker and no site: a folder with its keys and its memory, and a port.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.http import serving
from gatekeeper.adapters.http.witness import witness_app
from gatekeeper.adapters.witness_store import SqliteWitnessStore
from gatekeeper.cli.options import JsonOutput, run
from gatekeeper.cli.serve import stop_signal
from gatekeeper.cli.talk import json_line, local, say, table
from gatekeeper.observe.logging import configure
from gatekeeper.ports import WatchedLog
from gatekeeper.service.witnessing import Witness, WitnessFolder, WitnessFolderError
from gatekeeper.service.words import counted
from gatekeeper.transparency import Refused, SignatureType, Verifier, parse_verifier

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="Be a witness of logs: cosign what has grown, refuse what was rewritten."
)

Folder = Annotated[Path, typer.Option("--data", help="Folder for the witness' keys and memory.")]
_FOLDER = Path(".gatekeeper-witness")
_NO = 1


@app.command()
def init(
    name: Annotated[str, typer.Option(help="Like a URL without its scheme: witness.example.org/gate.")],
    post_quantum: Annotated[
        bool, typer.Option("--post-quantum", help="Cosign with ML-DSA-44 too, beside Ed25519.")
    ] = False,
    data: Folder = _FOLDER,
) -> None:
    """Make a witness: its name and its keys. Prints the verifier keys, one a line, for whoever is to believe it."""
    folder = WitnessFolder(data)
    folder.make(name, post_quantum=post_quantum)
    _print_keys(folder)
    say(
        "The first key is for Ed25519, the second for ML-DSA-44."
        if post_quantum
        else "The key is for Ed25519."
    )
    say(
        f"{name} is made in {data}. Next: gatekeeper witness admit KEY, with the key of each log it is to watch."
    )


@app.command()
def admit(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Verifier keys of logs.")],
    data: Folder = _FOLDER,
) -> None:
    """Watch logs: whatever these keys sign. A witness that is running knows it from the next request on."""
    verifiers = [_log_key(key) for key in keys]
    for verifier, new in zip(verifiers, run(_admit(data, verifiers)), strict=True):
        say(f"{verifier.name} is watched{'' if new else ' already by this key'}.")


@app.command()
def dismiss(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Verifier key of a log.")],
    data: Folder = _FOLDER,
) -> None:
    """Believe a log's key no more. What was cosigned of the log stays remembered."""
    verifier = _log_key(key)
    if not run(_dismiss(data, verifier)):
        say(f"{verifier.name} was not watched by this key.")
        raise typer.Exit(_NO)
    say(f"{verifier.name} is believed by this key no more.")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: a free one.")] = 8091,
    data: Folder = _FOLDER,
) -> None:
    """Answer logs that ask for a cosignature, until told to stop."""
    configure(level="info")
    run(_serve(data, host, port))


@app.command()
def show(
    origin: Annotated[
        str | None, typer.Argument(help="One log: its latest checkpoint, as a note, to stdout.")
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="The witness' own verifier keys.")] = False,
    json_output: JsonOutput = False,
    data: Folder = _FOLDER,
) -> None:
    """What the witness knows of each log; of one, the checkpoint to hold that log to. Exit 1: it has cosigned none."""
    folder = WitnessFolder(data)
    if keys:
        _print_keys(folder)
        return
    folder.cosigners()
    watched = run(_watched(folder))
    if origin is not None:
        _print_note(watched, origin)
    elif json_output:
        json_line([_document(log) for log in watched])
    else:
        _tell(watched)


async def _admit(data: Path, verifiers: Sequence[Verifier]) -> list[bool]:
    now = SystemClock().now()
    async with SqliteWitnessStore.opened(_store(data)) as store:
        known = [key for keys in (await store.logs()).values() for key in keys]
        _must_tell_apart([*known, *verifiers])
        return [await store.admit(verifier, at=now) for verifier in verifiers]


def _must_tell_apart(verifiers: Sequence[Verifier]) -> None:
    """See that no signature could be of one key or another. Raises WitnessFolderError."""
    by_name_and_id: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if by_name_and_id.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise WitnessFolderError(
                f"Another key of {verifier.name} has the same key id; the log needs a new one."
            )


async def _dismiss(data: Path, verifier: Verifier) -> bool:
    async with SqliteWitnessStore.opened(_store(data)) as store:
        return await store.dismiss(verifier)


async def _watched(folder: WitnessFolder) -> Sequence[WatchedLog]:
    async with SqliteWitnessStore.opened(folder.store) as store:
        return await store.watched()


async def _serve(data: Path, host: str, port: int) -> None:
    folder = WitnessFolder(data)
    cosigners = folder.cosigners()
    stop = stop_signal()
    async with SqliteWitnessStore.opened(folder.store) as store:
        witness = Witness(cosigners=cosigners, store=store, clock=SystemClock())
        async with serving(witness_app(witness), host=host, port=port) as url:
            say(f"{cosigners[0].name}: cosigning. In the policy of a site its URL is {url}")
            await stop.wait()


def _store(data: Path) -> Path:
    """Where the witness of a folder remembers. Raises WitnessFolderError when there is none."""
    folder = WitnessFolder(data)
    folder.cosigners()
    return folder.store


def _log_key(key: str) -> Verifier:
    verifier = parse_verifier(key)
    if isinstance(verifier, Refused):
        raise WitnessFolderError(f"{key!r} is no verifier key. {verifier.code.sentence}")
    if verifier.type is not SignatureType.ED25519:
        raise WitnessFolderError(f"The key of {verifier.name} is a witness' and not a log's.")
    return verifier


def _print_keys(folder: WitnessFolder) -> None:
    for cosigner in folder.cosigners():
        typer.echo(cosigner.verifier.key())


def _print_note(watched: Sequence[WatchedLog], origin: str) -> None:
    note = next((log.note for log in watched if log.origin == origin), None)
    if note is None:
        say(f"No checkpoint of {origin} has been cosigned.")
        raise typer.Exit(_NO)
    typer.echo(note.decode(), nl=False)


def _document(log: WatchedLog) -> dict[str, object]:
    return {
        "origin": log.origin,
        "keys": log.keys,
        "size": None if log.latest is None else log.latest.size,
        "root": None if log.latest is None else log.latest.root.hex(),
        "at": log.at,
        "disputes": log.disputes,
    }


def _tell(watched: Sequence[WatchedLog]) -> None:
    table(
        ("log", "keys", "size", "cosigned", "disputes"),
        [
            (
                log.origin,
                log.keys,
                "-" if log.latest is None else log.latest.size,
                "-" if log.at is None else local(log.at),
                log.disputes,
            )
            for log in watched
        ],
    )
    disputed = [log.origin for log in watched if log.disputes]
    if disputed:
        say(
            f"{counted(len(disputed), 'log')} signed what was not shown to go on from what was cosigned: {', '.join(disputed)}."
        )
