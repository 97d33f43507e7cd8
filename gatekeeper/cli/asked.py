"""Options that many commands share, by what they ask for. Nothing of the server is imported here."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Broker", "Data", "Dsn", "JsonOutput", "Operator", "Site", "UnusedVaultDsn", "VaultDsn"]

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder for keys and embedded servers; else .gatekeeper.")
]
Site = Annotated[str | None, typer.Option("--site", help="Which site, when the folder holds several.")]
Operator = Annotated[
    str | None, typer.Option("--operator", help="Who signs; else the only one whose key here may.")
]
Dsn = Annotated[str | None, typer.Option("--dsn", help="PostgreSQL of the log; without it the embedded one.")]
VaultDsn = Annotated[str | None, typer.Option("--vault-dsn", help="PostgreSQL of the persons' keys.")]
UnusedVaultDsn = Annotated[
    str | None,
    typer.Option("--vault-dsn", hidden=True, help="Not needed: nothing that is personal is opened here."),
]
Broker = Annotated[str | None, typer.Option("--broker", help="MQTT broker; without it the embedded one.")]
JsonOutput = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
