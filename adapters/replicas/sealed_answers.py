"""Answers that every replica can give again: on a shelf that all of them share, sealed, known by digests with a common key."""

from typing import Final

import structlog

from adapters.kept_answers import Kept, UnderWay
from adapters.replicas.answer_codec import AnswerCodec, Unreadable
from core.crypto.vault import SealBroken, Vault
from core.errors import Reason, Refusal, WrongSecret
from core.messages import CertificateSigned, ClaimsAnnounced, Enrolled, Provisioned
from core.model import Sealed, Secret
from core.operate.associating import Associated
from core.registration import Withheld
from core.replicas import AnswerShelf, Shelved

RESULTS: Final = (Provisioned, Enrolled, CertificateSigned, ClaimsAnnounced, Associated, Refusal, WrongSecret, Withheld, Reason)
"""What requests with a key are answered with."""

MOST_BYTES: Final = 262_144
"""A longer answer is not kept."""

_RETRY_SECONDS: Final = 30.0

log = structlog.get_logger("firstlight")


class SealedAnswers:
    """Satisfies `adapters.kept_answers.Answers`: answers are kept for `seconds`.

    Whoever is at a request holds its place for `lease` seconds, which is longer than a request may take: where it died, the
    request may be performed again after that. Where the shelf cannot be reached, a request that has a key is not begun, and one
    that was answered meanwhile is answered all the same, though its answer is not kept.
    """

    def __init__(self, shelf: AnswerShelf, vault: Vault, seconds: float, lease: float) -> None:
        self.secret = vault.digest("repeated requests", b"")
        self._shelf = shelf
        self._vault = vault
        self._seconds = seconds
        self._lease = lease
        self._codec = AnswerCodec(RESULTS)

    async def begin(self, scope: bytes, name: bytes, print_: bytes) -> Kept | UnderWay | None:
        """Return what was answered there, or that somebody is at it; None: the caller is, from now on."""
        there = await self._shelf.begin(scope, Shelved(name=name, print=print_), self._lease)
        if there is None:
            return None
        if there.answer is None:
            return UnderWay(there.print)
        return self._opened(scope, there, there.answer)

    async def keep(self, scope: bytes, kept: Kept) -> bool:
        """Keep an answer, if it can be; False where it is too long."""
        try:
            text = self._codec.write((kept.secure, kept.answer))
        except (TypeError, ValueError) as error:
            log.error("an answer could not be kept", answer=type(kept.answer).__name__, fault=str(error))
            await self.drop(scope)
            return True
        if len(text) > MOST_BYTES or not self._seconds:
            await self.drop(scope)
            return not self._seconds
        try:
            await self._shelf.keep(scope, bytes(self._vault.seal(Secret(text), _row(scope))), self._seconds)
        except Refusal as refusal:
            log.warning("an answer could not be kept", detail=refusal.detail)
        return True

    async def drop(self, scope: bytes) -> None:
        """Give up the place of an answer; where that cannot be told, it is free when its time is over."""
        try:
            await self._shelf.drop(scope)
        except Refusal as refusal:
            log.warning("the place of an answer could not be given up", detail=refusal.detail)

    async def knows(self, name: bytes) -> bool:
        """Tell whether anything was asked under this name."""
        return await self._shelf.knows(name)

    def _opened(self, scope: bytes, there: Shelved, answer: bytes) -> Kept:
        """Return an answer. Raises `Refusal` UNAVAILABLE for one of a newer version, or under a master key not known here."""
        try:
            text = self._vault.open(Sealed(answer), _row(scope)).reveal()
            secure, result = self._codec.read(text)
        except (SealBroken, Unreadable) as error:
            detail = "the answer that was given to this request cannot be given again here, try again later"
            raise Refusal(Reason.UNAVAILABLE, detail, check="request.repeat_key", retry_after=_RETRY_SECONDS) from error
        return Kept(name=there.name, print=there.print, answer=result, secure=secure, size=len(text))


def _row(scope: bytes) -> bytes:
    return b"answer:" + scope
