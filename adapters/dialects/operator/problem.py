"""How a refusal looks to operators: a problem document (RFC 9457)."""

from msgspec import UNSET

from adapters.dialects.operator import objects, writing
from adapters.exchange import Outbound
from core.errors import Reason, Refusal

PROBLEMS: dict[Reason, tuple[int, str]] = {
    Reason.MOVED: (302, "Found"),
    Reason.MALFORMED: (400, "Bad Request"),
    Reason.UNAUTHENTICATED: (401, "Unauthorized"),
    Reason.FORBIDDEN: (403, "Forbidden"),
    Reason.NOT_FOUND: (404, "Not Found"),
    Reason.NOT_ALLOWED: (405, "Method Not Allowed"),
    Reason.CONFLICT: (409, "Conflict"),
    Reason.STALE: (412, "Precondition Failed"),
    Reason.TOO_LARGE: (413, "Content Too Large"),
    Reason.UNSUPPORTED: (415, "Unsupported Media Type"),
    Reason.UNPROCESSABLE: (422, "Unprocessable Content"),
    Reason.MOVED: (302, "Found"),
    Reason.UNPROCESSABLE: (422, "Unprocessable Content"),
    Reason.TOO_MANY: (429, "Too Many Requests"),
    Reason.INTERNAL: (500, "Internal Server Error"),
    Reason.UNAVAILABLE: (503, "Service Unavailable"),
}
"""Status and phrase (RFC 9110, RFC 6585): with `about:blank` the title is the status's own (RFC 9457, section 4.2.1)."""

CONTENT_TYPE = "application/problem+json"
NO_STORE = ("Cache-Control", "no-store")
_CHALLENGE = ("WWW-Authenticate", "Bearer")  # RFC 6750, section 3


def write(refusal: Refusal) -> Outbound:
    """Write a refusal; who is not authenticated is not told which check refused."""
    status, title = PROBLEMS[refusal.reason]
    unknown = refusal.reason is Reason.UNAUTHENTICATED
    problem = objects.Problem(
        title=title, status=status, detail=refusal.detail, check=UNSET if unknown else refusal.check or UNSET
    )
    return Outbound(
        outcome=refusal.reason,
        body=writing.json(problem),
        content_type=CONTENT_TYPE,
        headers=(NO_STORE, _CHALLENGE) if unknown else (NO_STORE,),
        retry_after=refusal.retry_after,
    )
