"""Enrol: a device that signs with its group's secret asks for its identity."""

import msgspec

from core.appraisal import Appraisal
from core.audit import Audit
from core.issuer import Issuer
from core.limits import Buckets
from core.messages import Context, Enrolled, EnrolRequest
from core.model import Profile, SignedPolicy
from core.ports import Repository
from core.queries import EnrolSnapshot
from core.registration import Newcomer, Registrar


class Enrol(msgspec.Struct, frozen=True):
    """The use case. The same request repeated gives the same triple, as long as its time is near enough.

    `sources` and `claim_keys` count wrong proofs alone, as `Appraisal` says.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    sources: Buckets
    claim_keys: Buckets

    async def __call__(self, request: EnrolRequest, context: Context) -> Enrolled:
        """Give a device its triple, the one it has or a new one. Raises `Refusal`, after recording it as an event.

        UNAUTHENTICATED, FORBIDDEN and TOO_MANY as `Appraisal` says, FORBIDDEN too where a serial may not register itself or the
        tenant is full, `Withheld` where the device has no triple or may not have it.
        """
        appraisal = Appraisal(self.issuer, self.sources, self.claim_keys)

        def prove(known: EnrolSnapshot) -> tuple[Profile, SignedPolicy]:
            return appraisal.verify(known.profile, request.group, request.proof, context)

        newcomer = Newcomer(serial=request.proof.serial, label=request.label, metadata=request.metadata)
        return await Registrar(self.repository, self.issuer, self.audit).enrol(request.group, newcomer, prove, context)
