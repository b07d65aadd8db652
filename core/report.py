"""Report: a device that has its identity sends something, which is acknowledged and counted."""

import msgspec

from core.authenticate import Authenticate
from core.errors import Reason, Refusal
from core.messages import Context, Identity, Report, Reported


class TakeReport(msgspec.Struct, frozen=True):
    """The use case: proves who reports, where the connection has not done so already."""

    authenticate: Authenticate

    async def __call__(self, report: Report, context: Context) -> Reported:
        """Return who reported what. Raises `Refusal` as `Authenticate` does; FORBIDDEN where an external key is all."""
        who = report.who if isinstance(report.who, Identity) else await self.authenticate(report.who, context)
        if who.credential is None:
            detail = "the external key is good for fetching the configuration alone"
            raise Refusal(Reason.FORBIDDEN, detail, check="identity.bootstrap_only")
        return Reported(who, report.what)
