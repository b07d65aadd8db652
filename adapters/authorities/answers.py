"""What an authority elsewhere answers, made a chain of certificates; and the refusals where it does not."""

from typing import Final

from structlog.typing import FilteringBoundLogger

from adapters.authorities.certs_only import read_any
from core.crypto.issuance import BadCertificate, arranged
from core.errors import Reason, Refusal
from core.ports import SigningRequest

AGAIN_SECONDS: Final = 30.0


def chain_of(answer: bytes, request: SigningRequest, log: FilteringBoundLogger) -> tuple[bytes, ...]:
    """Return the certificates of an answer, the new one first. Raises `Refusal` UNAVAILABLE, after saying why in the log."""
    try:
        return arranged(read_any(answer), request.public_key)
    except (ValueError, BadCertificate) as error:
        log.warning("the certificate authority answered something else", fault=str(error), device=request.device)
        detail = "the certificate authority answered something else than was asked for"
        raise Refusal(Reason.UNAVAILABLE, detail, check="issuing.answer", retry_after=AGAIN_SECONDS) from error


def unavailable(retry_after: float = AGAIN_SECONDS) -> Refusal:
    """Make the refusal where the authority cannot be asked."""
    detail = "the certificate authority cannot be asked now, try again"
    return Refusal(Reason.UNAVAILABLE, detail, check="issuing.authority", retry_after=retry_after)


def unwilling() -> Refusal:
    """Make the refusal where the authority does not want to."""
    detail = "the certificate authority does not sign this request"
    return Refusal(Reason.FORBIDDEN, detail, check="issuing.authority_refused")
