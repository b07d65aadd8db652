"""From what operators and factories sent about credentials and batches to the core's commands: one function each."""

from collections.abc import Iterable

from adapters.dialects.operator import bodies
from adapters.dialects.operator import issuing_bodies as sent
from adapters.dialects.operator.commands import proposal
from adapters.dialects.operator.issuing_tables import read_table
from adapters.dialects.operator.reading import choice, decoder, malformed, read_json
from adapters.exchange import Inbound
from core.model import CredentialKind
from core.operate import issuing, messages
from core.operate.batches import ROWS

_BODY = decoder(sent.IssueBody)


def rotate_credentials(ref: str, query: sent.RotationQuery, body: bodies.NewCredential | None) -> messages.RotateCredentials:
    """POST /v1/devices/{id}/credentials."""
    return messages.RotateCredentials(ref, proposal(body), query.overlap_seconds)


def add_credential(ref: str, query: sent.AdditionQuery, body: bodies.NewCredential | None) -> messages.AddCredential:
    """POST /v1/devices/{id}/credentials:add."""
    return messages.AddCredential(ref=ref, credential=proposal(body), expires_in_seconds=query.expires_in_seconds or None)


def revoke_credential(refs: tuple[str, str], _query: bodies.Scoped, _body: None) -> messages.RevokeCredential:
    """DELETE /v1/devices/{id}/credentials/{credential}."""
    return messages.RevokeCredential(*refs)


def unpack_batch(inbound: Inbound) -> sent.IssueBody | sent.IssueTable:
    """Read the body of a batch, JSON unless its media type is text/csv. Raises `Refusal` MALFORMED."""
    media_type = (inbound.content_type or "").partition(";")[0].strip().lower()
    if media_type == sent.CSV:
        return read_table(inbound.body)
    body: sent.IssueBody = read_json(_BODY, inbound.body)
    return body


def issue_devices(_ref: str, query: sent.IssueQuery, body: sent.IssueBody | sent.IssueTable) -> issuing.IssueBatch:
    """POST /v1/devices:issue."""
    if query.format not in ("", *sent.FORMATS):
        raise malformed("format: invalid value, expected ndjson or csv", "format.value")
    profile, kind = query.profile, query.kind
    if isinstance(body, sent.IssueBody):
        profile, kind = body.profile or profile, body.kind or kind
    if not profile:
        raise malformed("profile: no profile is named", "issue.profile")
    return issuing.IssueBatch(
        profile=profile, rows=tuple(_rows(body)), kind=choice("kind", kind, CredentialKind) if kind else None
    )


def _rows(body: sent.IssueBody | sent.IssueTable) -> Iterable[issuing.SerialRow | issuing.UnreadRow]:
    if isinstance(body, sent.IssueTable):
        return (_row(number, line) for number, line in body.lines)
    if (body.serials is None) is (body.devices is None):
        raise malformed("either serials or devices are needed", "issue.rows")
    count = len(body.serials or body.devices or ())
    if count > ROWS:  # said before a row is made of each: a stranger may have sent them
        raise malformed(f"1 to {ROWS} serials are possible at once, not {count}", "batch.rows")
    if body.serials is not None:
        return (issuing.SerialRow(line=number, serial=serial) for number, serial in enumerate(body.serials, 1))
    return (_row(number, device) for number, device in enumerate(body.devices or (), 1))


def _row(number: int, line: sent.IssuedDevice | sent.UnreadLine) -> issuing.SerialRow | issuing.UnreadRow:
    if isinstance(line, sent.UnreadLine):
        return issuing.UnreadRow(number, line.serial, line.reason)
    return issuing.SerialRow(line=number, serial=line.serial, label=line.label, metadata=line.metadata)
