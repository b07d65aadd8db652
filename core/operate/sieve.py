"""Which rows of an import are right by themselves and beside their neighbours. Pure but for drawn credentials."""

from collections.abc import Mapping

import msgspec

from core.errors import Refusal
from core.issuer import Issuer
from core.model import Lookup, Profile
from core.operate import values
from core.operate.definition import Definition, define
from core.operate.messages import BadRow, ImportRow
from core.operate.results import RowError

_NAME_CHARACTERS = 255  # of a bad row's name, which may be anything


class Candidate(msgspec.Struct, frozen=True):
    """A row that is right as far as it and its neighbours tell."""

    line: int
    definition: Definition
    profile: Profile

    def error(self, reason: str) -> RowError:
        """Tell why this row is not imported after all."""
        return RowError(self.line, self.definition.name, reason)


class Sieve:
    """Takes rows one after the other and keeps what is wrong with the bad ones in `errors`.

    A row repeats another one only where that one was good: a bad row takes no name and no credential.
    """

    def __init__(self, issuer: Issuer, profiles: Mapping[str, Profile], default: str | None) -> None:
        self.errors: list[RowError] = []
        self._issuer = issuer
        self._profiles = profiles
        self._default = default
        self._names: dict[str, int] = {}
        self._lookups: dict[Lookup, int] = {}

    def pass_row(self, row: ImportRow | BadRow) -> Candidate | None:
        """Return the row as a candidate, or None where it is bad."""
        if isinstance(row, BadRow):
            self._refuse(row, row.reason)
            return None
        try:
            profile = self._profile(row.profile or self._default)
            candidate = Candidate(row.line, define(row, profile, self._issuer), profile)
            self._require_first(candidate)
        except Refusal as refusal:
            self._refuse(row, refusal.detail)
            return None
        self._names[candidate.definition.name] = row.line
        self._lookups[candidate.definition.lookup] = row.line
        return candidate

    def _profile(self, ref: str | None) -> Profile:
        if not ref:
            raise values.malformed("no profile is named", "import.profile")
        if ref not in self._profiles:
            raise values.malformed("there is no profile of this id or name", "import.profile")
        return self._profiles[ref]

    def _require_first(self, candidate: Candidate) -> None:
        line = self._names.get(candidate.definition.name)
        if line is not None:
            raise values.malformed(f"the name is that of line {line}", "import.name")
        line = self._lookups.get(candidate.definition.lookup)
        if line is not None:
            raise values.malformed(f"the credential is that of line {line}", "import.credential")

    def _refuse(self, row: ImportRow | BadRow, reason: str) -> None:
        self.errors.append(RowError(row.line, row.name[:_NAME_CHARACTERS], reason))
