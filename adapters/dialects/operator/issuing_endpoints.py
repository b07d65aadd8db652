"""The rows of the operator API's table that give devices their credentials."""

from adapters.dialects.operator import bodies, objects, writing
from adapters.dialects.operator import issuing_bodies as sent
from adapters.dialects.operator import issuing_commands as commands
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.issuing_objects import IssuedLine
from adapters.dialects.operator.issuing_writing import issued_devices
from adapters.exchange import Success

ISSUING = (
    Endpoint(
        method="POST",
        path="/v1/devices/{id}/credentials",
        operation="rotate_credentials",
        summary="Give a device a new credential; all old ones are dead at once, or good for a while still.",
        read=commands.rotate_credentials,
        query=sent.RotationQuery,
        body=bodies.NewCredential,
        may_omit_body=True,
        write=writing.credentials,
        answer=objects.Credentials,
        success=Success.CREATED,
    ),
    Endpoint(
        method="POST",
        path="/v1/devices/{id}/credentials:add",
        operation="add_credential",
        summary="Give a device one more credential, at most 8 at once.",
        read=commands.add_credential,
        query=sent.AdditionQuery,
        body=bodies.NewCredential,
        may_omit_body=True,
        write=writing.credentials,
        answer=objects.Credentials,
        success=Success.CREATED,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/devices/{id}/credentials/{credential}",
        operation="revoke_credential",
        summary="Take one credential from a device.",
        read=commands.revoke_credential,
        success=Success.DELETED,
    ),
    Endpoint(
        method="POST",
        path="/v1/devices:issue",
        operation="issue_devices",
        summary="Make devices of serials and give each its credential, sent while they are made; safe to repeat."
        " CSV has a header line with a column `serial`; the last line of NDJSON says `done`.",
        read=commands.issue_devices,
        query=sent.IssueQuery,
        body=sent.IssueBody,
        unpack=commands.unpack_batch,
        takes=(sent.CSV,),
        answer=IssuedLine,
        stream=issued_devices,
        sends=(sent.NDJSON, sent.CSV),
    ),
)
