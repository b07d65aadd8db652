"""What an admin does with the bearer tokens of operators, factories and auditors."""

from functools import partial

import msgspec

from core.crypto.tokens import new_id, random_text
from core.errors import Reason, Refusal
from core.model import EventKind, OperatorToken, Secret, TokenId
from core.operate import values
from core.operate.access import ADMIN_NAME, bearer_lookup
from core.operate.messages import CreateToken, DeleteToken, ListTokens
from core.operate.registry import Registry, Scope, paged
from core.operate.results import Done, Page, SecretToken
from core.ports import Changes, Delete
from core.queries import TokenPage

TOKEN_CHARACTERS = 40
_AT_ONCE = 1_000


class Tokens(msgspec.Struct, frozen=True):
    """Makes, lists and removes bearer tokens; the registry keeps their digests alone."""

    registry: Registry

    async def create(self, command: CreateToken, scope: Scope) -> SecretToken:
        """Make a token of 40 characters (238 bits). Raises `Refusal` MALFORMED, or CONFLICT where its name is taken."""
        name = values.require_label(command.name, "name")
        if name == ADMIN_NAME:
            raise Refusal(Reason.CONFLICT, f"the name {ADMIN_NAME} is the admin token's", check="token.name_reserved")
        issuer = self.registry.issuer
        text = Secret(random_text(TOKEN_CHARACTERS, issuer.entropy))
        now = issuer.clock.now()
        token = OperatorToken(
            id=TokenId(new_id(now, issuer.entropy)),
            tenant=scope.tenant,
            name=name,
            role=command.role,
            lookup=bearer_lookup(issuer.vault, text),
            created_at=now,
        )
        event = self.registry.token_event(EventKind.TOKEN_CREATED, token, scope)
        await self.registry.settle(partial(self.registry.commit, event, Changes(insert=(token,))))
        return SecretToken(token, text)

    async def list(self, command: ListTokens, scope: Scope) -> Page[OperatorToken]:
        """Return a page of tokens."""
        after = None if command.after is None else TokenId(command.after)
        found = await self.registry.repository.read(TokenPage(scope.tenant, after, command.limit + 1))
        return paged(found, command.limit)

    async def delete(self, command: DeleteToken, scope: Scope) -> Done:
        """Remove a token. Raises `Refusal` NOT_FOUND or CONFLICT."""
        return await self.registry.settle(partial(self._delete, command, scope))

    async def _delete(self, command: DeleteToken, scope: Scope) -> Done:
        token = await self._find(command.ref, scope)
        event = self.registry.token_event(EventKind.TOKEN_REVOKED, token, scope)
        await self.registry.commit(event, Changes(delete=(Delete(token),)))
        return Done()

    async def _find(self, ref: str, scope: Scope) -> OperatorToken:
        """Look through all tokens, which are few; an id wins over a name."""
        named: OperatorToken | None = None
        page: Page[OperatorToken] | None = None
        while page is None or page.next is not None:
            page = await self.list(ListTokens(after=page.next if page else None, limit=_AT_ONCE), scope)
            for token in page.items:
                if token.id == ref:
                    return token
                if token.name == ref:
                    named = token
        if named is None:
            raise Refusal(Reason.NOT_FOUND, "there is no token of this id or name", check="token.unknown")
        return named
