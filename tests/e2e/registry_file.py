"""Looks into a registry's file with plain SQLite: what is whole in it, and what is not."""

import contextlib
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

_FAULTS = {
    "devices without a credential": "SELECT name FROM device WHERE id NOT IN (SELECT device FROM credential)",
    "devices with two credentials": "SELECT device FROM credential GROUP BY device HAVING count(*) > 1",
    "credentials without a device": "SELECT id FROM credential WHERE device NOT IN (SELECT id FROM device)",
    "devices whose making is not recorded": """SELECT name FROM device WHERE id NOT IN
        (SELECT device FROM event WHERE kind = 'provision.succeeded' AND detail = 'create')""",
    "records of devices that are not there": """SELECT device_name FROM event WHERE kind = 'provision.succeeded'
        AND device NOT IN (SELECT id FROM device)""",
    "devices counted wrongly": """SELECT id FROM tenant WHERE devices <>
        (SELECT count(*) FROM device WHERE device.tenant = tenant.id)""",
    "states that no device has here": "SELECT name FROM device WHERE state NOT IN ('provisioned', 'connected')",
    "broken references": "SELECT * FROM pragma_foreign_key_check",
    "damage": "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
}


def names_of_a_whole_registry(data: Path, copy: Path) -> set[str]:
    """Return the devices, after looking for what is there by half."""
    return found_in_a_whole_registry(data, copy, _FAULTS, "SELECT name FROM device")


def found_in_a_whole_registry(data: Path, copy: Path, faults_by_name: Mapping[str, str], wanted: str) -> set[str]:
    """Return what a query finds, after looking that those of faults find nothing.

    A copy is looked at, so that nothing but the gateway itself repairs what a kill left.
    """
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in data.glob("firstlight.db*"):
        shutil.copy(file, copy)
    with contextlib.closing(sqlite3.connect(copy / "firstlight.db")) as connection:
        faults = {what: found for what, query in faults_by_name.items() if (found := connection.execute(query).fetchmany(5))}
        assert faults == {}
        return {text for (text,) in connection.execute(wanted)}
