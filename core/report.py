"""Report: a device that has its identity sends something, which is acknowledged and counted."""

import msgspec

from core.authenticate import Authenticate
from core.errors import Reason, Refusal
from core.messages import Context, Identity, Login, Report, Reported
from core.model import EventKind
from core.ports import Repository
from core.queries import DeviceQuery, DeviceSnapshot


class TakeReport(msgspec.Struct, frozen=True):
    """The use case: proves who reports, where the connection has not done so already."""

    authenticate: Authenticate

    async def __call__(self, report: Report, context: Context) -> Reported:
        """Return who reported what. Raises `Refusal` as `prove_device` does."""
        return Reported(await prove_device(report.who, self.authenticate, context), report.what)


async def prove_device(who: Login | Identity, authenticate: Authenticate, context: Context) -> Identity:
    """Return the device that asks, proved by its login where its connection has not done so already.

    Raises `Refusal` as `Authenticate` does; FORBIDDEN, recorded as an event too, for a user, and where an external key is all
    that was proved.
    """
    identity = who if isinstance(who, Identity) else await authenticate(who, context)
    try:
        _require_device(identity)
    except Refusal as refusal:
        found = await authenticate.repository.read(DeviceQuery(identity.tenant, identity.device))
        device = found.device if found is not None else None
        await authenticate.audit.refused(EventKind.REQUEST_REFUSED, context, refusal, device=device)
        raise
    return identity


def _require_device(identity: Identity) -> None:
    if identity.user:
        raise Refusal(Reason.FORBIDDEN, "this is for devices, not for users", check="identity.user")
    if identity.credential is None:
        detail = "the external key is good for fetching the configuration alone"
        raise Refusal(Reason.FORBIDDEN, detail, check="identity.bootstrap_only")


async def read_device(identity: Identity, repository: Repository) -> DeviceSnapshot:
    """Return the device that proved itself. Raises `Refusal` UNAUTHENTICATED for one that is gone since."""
    found = await repository.read(DeviceQuery(identity.tenant, identity.device))
    if found is None:
        raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="identity.gone")
    return found
