"""Whether aiocoap's cryptography does what RFC 8613 says, by its own test vectors (appendix C.4 and C.7)."""

from aiocoap import Message
from aiocoap.numbers.codes import Code

from adapters.coap.oscore.context import SecurityContext
from adapters.coap.oscore.naming import read
from core.messages import Identity, Oscore, OscoreKnown
from core.model import CredentialId, DeviceId, OscoreState, Secret, TenantId
from core.oscore_states import OscoreLease

SHARED = Oscore("", "01", Secret("0102030405060708090a0b0c0d0e0f10"), "9e7ca92223786340")
OPTION = bytes.fromhex("0914")
CIPHERTEXT = bytes.fromhex("612f1092f1776f1c1668b3825e")
PLAINTEXT = bytes.fromhex("01b3747631")
ANSWER = b"Hello World!"
PROTECTED = bytes.fromhex("dbaad1e9a7e7b2a813d3c31524378303cdafae119106")
NOTIFIED = bytes.fromhex("4d4c13669384b67354b2b6175ff4b8658c666a6cf88e")


def selftest() -> None:
    """Open a request and protect its response twice. Raises `RuntimeError` with one sentence where that goes differently."""
    try:
        faulty = _faulty()
    except Exception as error:
        raise RuntimeError(f"The installed aiocoap does not fit OSCORE here: {error!r}.") from error
    if faulty:
        raise RuntimeError(f"The installed aiocoap does not fit OSCORE here: {faulty} came out differently.")


def _faulty() -> str:
    nobody = Identity(TenantId(""), DeviceId(""), "", None)
    context = SecurityContext(OscoreKnown(SHARED, nobody))
    context.begin(OscoreLease(OscoreState(id=CredentialId(""), sequence=1), 0, (0, 0)))
    naming = read(OPTION)
    plaintext, request = context.open(naming, Code.POST, CIPHERTEXT)
    if plaintext != PLAINTEXT:
        return "a request"
    if (context.is_fresh(naming.sequence, None), context.is_fresh(naming.sequence, None)) != (True, False):
        return "a replayed request"
    request.can_reuse_nonce = True
    response = context.protect(Message(code=Code.CONTENT, payload=ANSWER), request)
    if (response.code, response.opt.oscore, response.payload) != (Code.CHANGED, b"", PROTECTED):
        return "a response"
    request.can_reuse_nonce = False
    response = context.protect(Message(code=Code.CONTENT, payload=ANSWER), request)
    if (response.opt.oscore, response.payload) != (b"\x01\x00", NOTIFIED):
        return "a second response"
    return ""
