"""The address of a team's ledger, which may hold a password, taken apart without ever telling it. Pure."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..errors import SettingsError


def parameters_of(address: Callable[[], str]) -> dict[str, Any]:
    """Return the parameters of a URL.

    Raises:
        SettingsError: it cannot be understood; the message does not repeat it, as it may hold a password.
    """
    found: dict[str, Any] | None = None
    try:
        found = conninfo_to_dict(address())
    except psycopg.Error as error:
        forget_locals(error)
    if found is not None and not _is_torn(found):
        return found
    del found  # whoever looks at the traceback must not find it there
    raise SettingsError(
        "OR_MAGIC_LEDGER cannot be understood. Nothing was sent. Write it as postgresql://user@host/database, "
        "parameters after a ?, and in a password %40 for @, %2F for /, %3A for : and %25 for %."
    )


def _is_torn(parameters: dict[str, Any]) -> bool:
    """Whether a piece of the password was taken for the host or the database: it has such signs as they are."""
    host, database = str(parameters.get("host", "")), str(parameters.get("dbname", ""))
    return "@" in host + database or "/" in database


def place_of(parameters: dict[str, Any]) -> str:
    """Return what a person calls the database: everything but passwords and how to connect."""
    user = f"{parameters['user']}@" if "user" in parameters else ""
    port = f":{parameters['port']}" if "port" in parameters else ""
    service = f"?service={parameters['service']}" if "service" in parameters else ""
    return f"postgresql://{user}{parameters.get('host', '')}{port}/{parameters.get('dbname', '')}{service}"


def forget_locals(error: BaseException | None) -> None:
    """Clear the locals of the frames that an error has left: whoever looks at its traceback finds nothing there."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
