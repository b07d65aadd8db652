"""Enrol: a device that signs with its group's secret asks for its identity."""

import msgspec

from core.admission import Admission
from core.appraisal import Appraisal
from core.audit import Audit
from core.claim_policy import Passage, require_name
from core.issuer import Issuer
from core.limits import Buckets
from core.messages import Context, Enrolled, EnrolRequest
from core.model import Profile, SignedPolicy
from core.ports import Hooks, Repository
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
    hooks: Hooks | None = None

    async def __call__(self, request: EnrolRequest, context: Context) -> Enrolled:
        """Give a device its triple, the one it has or a new one. Raises `Refusal`, after recording it as an event.

        UNAUTHENTICATED, FORBIDDEN and TOO_MANY as `Appraisal` says, FORBIDDEN too where a serial may not register itself or the
        tenant is full, `Withheld` where the device has no triple or may not have it.
        """
        appraisal = Appraisal(self.issuer, self.sources, self.claim_keys)

        passage = Passage(self.claim_keys, context)

        def prove(known: EnrolSnapshot) -> tuple[Profile, SignedPolicy]:
            profile, policy = appraisal.verify(known.profile, request.group, request.proof, context)
            passage.require(profile, self.issuer.clock.monotonic())
            require_name(profile, request.proof.serial)
            return profile, policy

        newcomer = Newcomer(
            serial=request.proof.serial, connection=request.connection, label=request.label, metadata=request.metadata
        )
        admission = Admission(self.hooks, self.repository, self.issuer, self.audit)
        registrar = Registrar(self.repository, self.issuer, self.audit, admission)
        return await registrar.enrol(request.group, newcomer, prove, context)
