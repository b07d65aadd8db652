"""How a batch is sent: line by line as it is made, as NDJSON or as CSV."""

import contextlib
import csv
import io
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence

from adapters.dialects.operator import issuing_objects as objects
from adapters.dialects.operator import writing
from adapters.dialects.operator.issuing_bodies import CSV, FORMATS, NDJSON
from adapters.dialects.operator.problem import NO_STORE
from adapters.exchange import Inbound, Outbound, Success
from core.credentials import KIND
from core.model import Secret
from core.operate.issuing import Batch, Fate, IssuedLine

_PARTS = ("token", "client_id", "username", "password", "certificate", "endpoint", "secret", "product_key", "device_key")
_OSCORE = {f"oscore_{part}": part for part in ("device_id", "server_id", "salt", "id_context")}
COLUMNS = ("serial", "device_id", "status", "credential_type", *_PARTS, "device_name", "reason", *_OSCORE)
"""The secret of a triple or an OSCORE context stands under `secret`."""


def issued_devices(batch: Batch, inbound: Inbound) -> Outbound:
    """Send a batch in the form that was asked for. CSV ends without a word: a connection that is cut off tells."""
    if _media_type(inbound) == CSV:
        body, content_type, stream = _csv((COLUMNS,)), f"{CSV}; charset=utf-8; header=present", _in_csv(batch)
    else:
        body, content_type, stream = b"", NDJSON, _in_ndjson(batch)
    return Outbound(outcome=Success.OK, body=body, content_type=content_type, headers=(NO_STORE,), stream=stream)


def _media_type(inbound: Inbound) -> str:
    """Return the form of the answer: `format` has the first word, `Accept` (RFC 9110, section 12.5.1) the second."""
    if inbound.query.get("format"):
        return FORMATS[inbound.query["format"]]
    accepted = [each.partition(";")[0].strip().lower() for each in inbound.headers.get("accept", "").split(",")]
    return CSV if CSV in accepted and NDJSON not in accepted else NDJSON


async def _in_ndjson(batch: Batch) -> AsyncGenerator[bytes, None]:
    fates: Counter[Fate] = Counter()
    async with contextlib.aclosing(batch.lines) as chunks:
        async for lines in chunks:
            fates.update(line.fate for line in lines)
            yield b"".join(writing.json(_line(line)) + b"\n" for line in lines)
    end = objects.IssuedEnd(issued=fates[Fate.ISSUED], existing=fates[Fate.EXISTS], refused=fates[Fate.REFUSED])
    yield writing.json(end) + b"\n"


async def _in_csv(batch: Batch) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(batch.lines) as chunks:
        async for lines in chunks:
            yield _csv(map(_row, lines))


def _line(line: IssuedLine) -> objects.IssuedLine:
    if line.value is None or line.device is None:
        return objects.IssuedLine(line=line.line, serial=line.serial, status=line.fate.value, reason=line.reason)
    return objects.IssuedLine(
        line=line.line,
        serial=line.serial,
        status=line.fate.value,
        device_id=line.device,
        device_name=line.name,
        credential=objects.IssuedCredential(type=KIND[type(line.value)].value, **writing.parts(line.value)),
    )


def _row(line: IssuedLine) -> Sequence[str]:
    values = {name: part.reveal() if isinstance(part, Secret) else part for name, part in writing.parts(line.value).items()}
    kind = "" if line.value is None else KIND[type(line.value)].value
    parts = [values.get(name, "") for name in _PARTS]
    context = [values.get(name, "") for name in _OSCORE.values()]
    return (line.serial, line.device or "", line.fate.value, kind, *parts, line.name, line.reason, *context)


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Write lines (RFC 4180). Serials stand as they are: one may look like a formula to a spreadsheet."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
