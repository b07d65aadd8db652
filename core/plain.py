"""What may be done on a wire that nothing protects: over HTTP, CoAP and MQTT without TLS, DTLS or OSCORE. Pure."""

from core.errors import Reason, Refusal
from core.messages import Context
from core.model import Plain, Profile


def require_wire(profile: Profile, context: Context) -> None:
    """Refuse a request with a secret in the clear where its profile does not allow that. Raises `Refusal` FORBIDDEN."""
    if profile.plain is not None and not context.secure:
        require_protected(profile.plain)


def require_protected(plain: Plain | None, *, sealed: bool = False) -> None:
    """Refuse what a policy keeps off unprotected wires; a `sealed` request has no secret in the clear. None forbids nothing.

    Raises `Refusal` FORBIDDEN.
    """
    if plain in (None, Plain.EVERYTHING) or (plain is Plain.CHALLENGE and sealed):
        return
    raise Refusal(Reason.FORBIDDEN, "this is not done without TLS, DTLS or OSCORE", check="plain.refused")
