"""Revocations: the public list of the certificates made here that are good no longer, and by whom they were signed."""

from typing import Final

import msgspec

from core.certifying import no_authority
from core.errors import Conflict, Reason, Refusal
from core.limits import AtOnce
from core.messages import AskAuthorities, AskRevocations, AuthoritiesAnswer, Context, RevocationsAnswer
from core.model import IssuedCertificate
from core.ports import CertificateAuthority, Changes, Clock, Repository, Revocation, RevocationSigner
from core.queries import IssuedPage

LIFE_SECONDS: Final = 3_600
FRESH_SECONDS: Final = 10
MOST: Final = 50_000
PAGE: Final = 1_000
_AT_ONCE: Final = 2


class TellAuthorities(msgspec.Struct, frozen=True):
    """The use case: anybody may know by which certificates those of devices are checked."""

    authority: CertificateAuthority | None

    async def __call__(self, question: AskAuthorities, context: Context) -> AuthoritiesAnswer:
        """Return them. Raises `Refusal` FORBIDDEN where there is no authority."""
        if self.authority is None:
            raise no_authority()
        return AuthoritiesAnswer(self.authority.authorities)


class _Kept(msgspec.Struct, frozen=True):
    """A list as it was signed, of what, and when that was last looked at."""

    answer: RevocationsAnswer
    revoked: tuple[Revocation, ...]
    signed_at: int
    seen_at: int


class RevocationList:
    """The use case: a list of everything revoked whose time is not over yet (RFC 5280, section 5).

    Logins do not wait for it: a certificate without its credential is refused at once. It is for others who trust the same
    authority. A list is signed anew where something changed, seen once in `FRESH_SECONDS` at most, and when half of its life is
    over; otherwise all are given the same. It is read from the registry, so several gateways have the same entries, each within
    that time. Beyond `most` entries none is given: one that leaves something out would lie. They
    are read by `page`.
    """

    def __init__(
        self,
        repository: Repository,
        clock: Clock,
        signer: RevocationSigner | None,
        *,
        life_seconds: int = LIFE_SECONDS,
        most: int = MOST,
        page: int = PAGE,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._signer = signer
        self._life_ms = life_seconds * 1000
        self._most = most
        self._page = page
        self._kept: _Kept | None = None
        self._signing = AtOnce(_AT_ONCE, "issuing.crl_busy")

    async def __call__(self, question: AskRevocations, context: Context) -> RevocationsAnswer:
        """Return the list. Raises `Refusal` NOT_FOUND where the authority keeps its own, UNAVAILABLE."""
        if self._signer is None:
            raise Refusal(Reason.NOT_FOUND, "this gateway signs no list of revoked certificates", check="issuing.no_crl")
        kept, now = self._kept, self._clock.now()
        if kept is not None and 0 <= now - kept.seen_at < FRESH_SECONDS * 1000:  # a clock may be put back
            return kept.answer
        with self._signing:
            return await self._renewed(self._signer, kept, now)

    async def _renewed(self, signer: RevocationSigner, kept: _Kept | None, now: int) -> RevocationsAnswer:
        revoked = await self._revoked(now)
        if kept is not None and kept.revoked == revoked and 0 <= now - kept.signed_at < self._life_ms // 2:
            self._kept = msgspec.structs.replace(kept, seen_at=now)
            return kept.answer
        until = now + self._life_ms
        answer = RevocationsAnswer(await signer.sign_revocations(revoked, now, until), until)
        self._kept = _Kept(answer, revoked, signed_at=now, seen_at=now)
        return answer

    async def _revoked(self, now: int) -> tuple[Revocation, ...]:
        """Return what is revoked, after noting since when where that is new."""
        entries: list[Revocation] = []
        after: str | None = None
        while True:
            page = await self._repository.read(IssuedPage(until=now, revoked=True, after=after, limit=self._page))
            records = [each.certificate for each in page]
            await self._note(tuple(each for each in records if each.revoked_at is None), now)
            entries += (Revocation(int(each.id, 16), each.revoked_at or now) for each in records)
            if len(entries) > self._most:
                detail = "more certificates are revoked than a list can hold"
                raise Refusal(Reason.UNAVAILABLE, detail, check="issuing.crl_size")
            if len(page) < self._page:
                return tuple(entries)
            after = records[-1].id

    async def _note(self, fresh: tuple[IssuedCertificate, ...], now: int) -> None:
        if not fresh:
            return
        noted = tuple(msgspec.structs.replace(each, revoked_at=now, version=each.version + 1) for each in fresh)
        try:
            await self._repository.commit(Changes(replace=noted))
        except Conflict:
            return  # another replica noted it at this moment, or its time is over: the next list has it right
