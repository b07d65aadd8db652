"""What operators send about the hook of a profile, as it is on the wire."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from adapters.dialects.operator.body import Body
from core.model import Secret


class HookRules(Body, frozen=True):
    """Who is asked before a device is let in; what is left out is chosen, or stays as it is.

    It gets, by POST, `correlation`, `at`, `tenant`, `profile`, `profile_name`, `decision`, `name`, `serial`, `device`,
    `metadata`, `dialect`, `protocol`, `secure` and `source` as JSON, with the header `X-Firstlight-Signature: t=TIME,v1=MAC`:
    MAC is HMAC-SHA-256 in hex under the secret over TIME, a full stop and the body. It answers `{"allow": true}` or false, with
    a `reason` for operators, and where it allows, `name`, `profile`, `channels` and `metadata`, all of them optional.
    """

    url: Annotated[str | UnsetType, Meta(description="https, or http on the gateway's own machine. A new hook needs it.")] = (
        UNSET
    )
    secret: Annotated[
        Secret | UnsetType,
        Meta(description="What questions are signed with, 16 to 255 characters; left out of a new hook, 43 are drawn."),
    ] = UNSET
    seconds: Annotated[
        int | UnsetType, Meta(description="How long an answer may take, 1 to 10; left out, 5. Without it nobody is let in.")
    ] = UNSET
