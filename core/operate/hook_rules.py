"""What operators say of the hook of a profile."""

from msgspec import UNSET, Struct, UnsetType

from core.model import Secret


class HookRules(Struct, frozen=True, kw_only=True):
    """What an operator says of a `Hook`; what is left out is chosen, or stays as it is. `url` cannot be chosen."""

    url: str | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET
    seconds: int | UnsetType = UNSET
