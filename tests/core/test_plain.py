"""What may be done on a wire that nothing protects."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from core.authenticate import Authenticate
from core.bootstrap import Bootstrap
from core.errors import Reason, Refusal
from core.limits import Rate
from core.lockout import Lockout
from core.messages import AccessToken, BootstrapRequest, Context, MqttLogin, PlainKey, TokenLogin
from core.model import Plain, Profile, Secret
from core.plain import require_protected
from core.ports import Changes
from core.queries import ProfileQuery
from tests.core.registry import CONTEXT, Registry, claim
from tests.core.signing_fleet import Fleet, enrolment
from tests.operating import Desk


@pytest.mark.parametrize(
    ("plain", "sealed"),
    [(None, False), (None, True), (Plain.EVERYTHING, False), (Plain.EVERYTHING, True), (Plain.CHALLENGE, True)],
)
def test_what_is_done(plain: Plain | None, sealed: bool) -> None:
    require_protected(plain, sealed=sealed)


@pytest.mark.parametrize(("plain", "sealed"), [(Plain.CHALLENGE, False), (Plain.NOTHING, False), (Plain.NOTHING, True)])
def test_what_is_not(plain: Plain, sealed: bool) -> None:
    with pytest.raises(Refusal) as refused:
        require_protected(plain, sealed=sealed)
    assert (refused.value.reason, refused.value.check) == (Reason.FORBIDDEN, "plain.refused")


OVER_TLS = msgspec.structs.replace(CONTEXT, secure=True)
TOKEN = AccessToken(Secret("token-of-meter-0042x"))
Asked = Callable[[Context], Awaitable[object]]


async def kept_off(registry: Registry, profile: Profile, plain: Plain = Plain.NOTHING) -> None:
    """Have a profile keep its devices off unprotected wires."""
    changed = msgspec.structs.replace(profile, plain=plain, version=profile.version + 1)
    await registry.repository.commit(Changes(replace=(changed,)))


async def served_over_tls_alone(ask: Asked) -> None:
    """Show that a request, right in all else, is refused on a plain wire however often, and granted on any other."""
    for _ in range(3):
        with pytest.raises(Refusal) as refused:
            await ask(CONTEXT)
        assert (refused.value.reason, refused.value.check) == (Reason.FORBIDDEN, "plain.refused")
    await ask(OVER_TLS)


async def provisioning() -> Asked:
    registry = Registry()
    await kept_off(registry, await registry.profile())
    return lambda context: registry.provision(claim(), context)


async def login() -> Asked:
    registry = Registry(failures=Rate(0.001, 2))
    profile = await registry.profile()
    await registry.device(profile, "meter-0042", TOKEN)
    await kept_off(registry, profile, Plain.CHALLENGE)
    return lambda context: registry.authenticate(TokenLogin(TOKEN.token), context)


async def enrolling() -> Asked:
    fleet = Fleet(sources=Rate(0.001, 2))
    await kept_off(fleet, await fleet.group())
    return lambda context: fleet.enrol(enrolment(), context)


async def configured() -> tuple[Desk, Authenticate, Bootstrap]:
    desk = Desk()
    made = await desk.config()
    base = (desk.repository, desk.issuer, desk.audit, Lockout(Rate(0.001, 2)))
    found = await desk.repository.read(ProfileQuery(made.device.tenant, made.device.profile))
    assert found is not None
    await desk.repository.commit(
        Changes(replace=(msgspec.structs.replace(found, plain=Plain.NOTHING, version=found.version + 1),))
    )
    return desk, Authenticate(*base), Bootstrap(*base)


async def bootstrapping() -> Asked:
    _, _, bootstrap = await configured()
    request = BootstrapRequest(external_id="aa:bb", proof=PlainKey(Secret("external key")))
    return lambda context: bootstrap(request, context)


async def login_by_external_key() -> Asked:
    _, authenticate, _ = await configured()
    return lambda context: authenticate(MqttLogin("", "aa:bb", Secret("external key")), context)


@pytest.mark.parametrize("way", [provisioning, login, enrolling, bootstrapping, login_by_external_key])
async def test_a_profile_keeps_its_devices_off_plain_wires(way: Callable[[], Awaitable[Asked]]) -> None:
    await served_over_tls_alone(await way())


async def test_the_gateway_keeps_every_login_off_plain_wires() -> None:
    registry = Registry()
    await registry.device(await registry.profile(), "meter-0042", TOKEN)
    authenticate = msgspec.structs.replace(registry.authenticate, plain=Plain.NOTHING)
    await served_over_tls_alone(lambda context: authenticate(TokenLogin(TOKEN.token), context))


async def test_who_is_refused_for_the_wire_alone_learns_nothing_with_a_wrong_secret() -> None:
    registry = Registry()
    await kept_off(registry, await registry.profile())
    with pytest.raises(Refusal) as refused:
        await registry.provision(claim(secret="wrong"), CONTEXT)
    assert refused.value.check == "claim.secret"
