"""One OSCORE security context (RFC 8613, section 3): its keys, its replay window, the numbers it may use. No I/O."""

import secrets
from collections.abc import Callable

from aiocoap import Message, oscore
from aiocoap.oscore import (
    AES_CCM_16_64_128,
    CanProtect,
    CanUnprotect,
    ProtectionInvalid,
    ReplayWindow,
    RequestIdentifiers,
    SecurityContextUtils,
)

from adapters.coap.oscore.naming import Naming
from core.messages import Identity, Oscore, OscoreKnown
from core.oscore_states import OscoreLease

WINDOW = 32  # RFC 8613, section 3.2.2
MAX_PLAINTEXT_BYTES = 2**16 - 1  # of AES-CCM-16-64-128 (RFC 9053, section 4.2)
ECHO_BYTES = 8  # RFC 9175, section 2.3, which is also what RFC 8613, appendix B.1.2, goes by
Key = tuple[bytes, bytes]


class Keys(CanProtect, CanUnprotect, SecurityContextUtils):  # type: ignore[misc]  # aiocoap ships no types
    """The keys of one context, seen from the server; nothing of it is logged."""

    alg_aead = AES_CCM_16_64_128()
    hashfun = oscore.hashfunctions["sha256"]

    def __init__(self, shared: Oscore, spend: Callable[[], int]) -> None:
        self.recipient_id, self.sender_id = bytes.fromhex(shared.device_id), bytes.fromhex(shared.server_id)
        self.id_context = bytes.fromhex(shared.id_context) or None
        self.derive_keys(bytes.fromhex(shared.salt), bytes.fromhex(shared.secret.reveal()))
        self._spend = spend

    def new_sequence_number(self) -> int:
        """Return a number that no message had before."""
        return self._spend()

    def post_seqnoincrease(self) -> None:
        """Do nothing: numbers are written before they are used."""

    def decrypt(self, request: RequestIdentifiers, ciphertext: bytes) -> bytes:
        """Return the plaintext of a request (section 8.2). Raises `ProtectionInvalid`."""
        algorithm = self.alg_aead
        if not algorithm.tag_bytes < len(ciphertext) <= MAX_PLAINTEXT_BYTES + algorithm.tag_bytes:
            raise ProtectionInvalid("no such length")
        aad = algorithm._build_encrypt0_structure({}, self._extract_external_aad(None, request, local_is_sender=False))
        nonce = self._construct_nonce(request.partial_iv, request.kid, algorithm)
        plaintext: bytes = algorithm.decrypt(ciphertext, aad, self.recipient_key, nonce)
        return plaintext


class SecurityContext:
    """One device's context. It is of use once it is `begun`; `broken`, it is of none any more, to anybody."""

    __slots__ = ("_echo", "_keys", "_next", "_window", "broken", "identity", "key", "lease", "leave")

    lease: OscoreLease  # these two are there once it is begun
    leave: Callable[[], None]

    def __init__(self, known: OscoreKnown) -> None:
        self._keys = Keys(known.context, self._spend)
        self.key: Key = (self._keys.recipient_id, self._keys.id_context or b"")
        self.identity: Identity = known.identity
        self.broken = False
        self._window = ReplayWindow(WINDOW, lambda: None)
        self._echo = secrets.token_bytes(ECHO_BYTES)
        self._next = 0

    def open(self, naming: Naming, code: int, ciphertext: bytes) -> tuple[bytes, RequestIdentifiers]:
        """Return what a request of this context says, and what its response has to be bound to.

        It may be an old one still: ask `is_fresh`. Raises `ProtectionInvalid` where the context's device did not make it.
        """
        request = RequestIdentifiers(naming.device_id, naming.partial_iv, can_reuse_nonce=False, request_code=code)
        return self._keys.decrypt(request, ciphertext), request

    def begin(self, lease: OscoreLease) -> None:
        """Take up where the context was left."""
        self.lease, self._next = lease, lease.first
        if lease.window is not None:
            self._window.initialize_from_persisted({"index": lease.window[0], "bitfield": lease.window[1]})

    def renew(self, lease: OscoreLease) -> None:
        """Use these numbers from now on, after those of the lease before.

        Where others took numbers between them, they received messages too: of the window nothing is known any more.
        """
        if lease.first != self.lease.state.sequence:
            self._window = ReplayWindow(WINDOW, lambda: None)
        self.lease, self._next = lease, lease.first

    @property
    def spent(self) -> bool:
        """Tell whether all numbers that may be used are."""
        return self._next >= self.lease.state.sequence

    @property
    def next_number(self) -> int:
        """Return the first number that was not used."""
        return self._next

    @property
    def window(self) -> tuple[int, int] | None:
        """Return the replay window, as `core.model.OscoreState` has it."""
        if not self._window.is_initialized():
            return None
        kept = self._window.persist()
        return kept["index"], kept["bitfield"]

    def is_fresh(self, sequence: int, echo: bytes | None) -> bool | None:
        """Tell whether a message was never received before, and from now on it was (RFC 8613, section 7.4).

        None: that cannot be told. A message that brings the challenge back can (appendix B.1.2).
        """
        if not self._window.is_initialized():
            if echo is None or not secrets.compare_digest(echo, self._echo):
                return None
            self._window.initialize_from_freshlyseen(sequence)
            return True
        fresh: bool = self._window.is_valid(sequence)
        if fresh:
            self._window.strike_out(sequence)
        return fresh

    def challenge(self) -> Message:
        """Return what makes a device prove that it speaks now."""
        return Message(code=oscore.UNAUTHORIZED, echo=self._echo)

    def protect(self, message: Message, request: RequestIdentifiers) -> Message:
        """Return the protected form of a response. Numbers that a response of its own needs are there: not `spent`."""
        protected, _ = self._keys.protect(message, request)
        return protected

    def _spend(self) -> int:
        if self.spent:
            raise RuntimeError("a number that is not ours")
        self._next += 1
        return self._next - 1
