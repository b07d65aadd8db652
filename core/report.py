"""Report: a device that has its identity sends something, which is acknowledged and counted."""

import msgspec

from core.authenticate import Authenticate
from core.messages import Context, Identity, Report, Reported


class TakeReport(msgspec.Struct, frozen=True):
    """The use case: proves who reports, where the connection has not done so already."""

    authenticate: Authenticate

    async def __call__(self, report: Report, context: Context) -> Reported:
        """Return who reported what. Raises `Refusal` as `Authenticate` does."""
        who = report.who if isinstance(report.who, Identity) else await self.authenticate(report.who, context)
        return Reported(who, report.what)
