"""A hook that says what a test wants, and profiles that have it asked."""

from collections.abc import Callable

import msgspec

from core.admission import hook_row
from core.limits import Buckets
from core.model import Hook, Profile, Secret
from core.ports import Changes, HookAnswer, HookQuestion
from core.provision import Provision
from tests.core.registry import UNLIMITED, Registry

URL = "https://hooks.example.net/firstlight?key=s3cr3t"
HOST = "hooks.example.net"
SECRET = "the secret of the hook"
YES = HookAnswer(allow=True)


class TellingHooks:
    """Stands for the port: says what `says` makes of a question, and keeps the questions."""

    def __init__(self, says: Callable[[HookQuestion], HookAnswer] | HookAnswer = YES) -> None:
        self.says = says
        self.questions: list[HookQuestion] = []

    async def ask(self, question: HookQuestion) -> HookAnswer:
        """Keep the question and answer it."""
        self.questions.append(question)
        return self.says if isinstance(self.says, HookAnswer) else self.says(question)

    @property
    def decisions(self) -> list[str]:
        """Return what was asked about."""
        return [question.decision for question in self.questions]


def with_hook(registry: Registry, hooks: TellingHooks | None) -> None:
    """Have the registry's provision ask hooks."""
    buckets = Buckets(UNLIMITED), Buckets(UNLIMITED)
    registry.provision = Provision(registry.repository, registry.issuer, registry.audit, *buckets, hooks)


async def hook(registry: Registry, profile: Profile) -> Profile:
    """Give a profile a hook."""
    sealed = registry.vault.seal(Secret(SECRET), hook_row(profile.id))
    changed = msgspec.structs.replace(profile, hook=Hook(url=URL, secret=sealed, seconds=3), version=profile.version + 1)
    await registry.repository.commit(Changes(replace=(changed,)))
    return changed
