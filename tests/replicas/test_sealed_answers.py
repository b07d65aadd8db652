"""Answers on a shelf that replicas share: written by one, given again by another, and readable to nobody else."""

from typing import Any

import msgspec
import pytest

from adapters.kept_answers import Kept, UnderWay
from adapters.replicas import sealed_answers
from adapters.replicas.answer_codec import AnswerCodec, Unreadable
from adapters.replicas.sealed_answers import RESULTS, SealedAnswers
from core.crypto.vault import Vault
from core.errors import Reason, Refusal, WrongSecret
from core.messages import (
    AccessToken,
    Certificate,
    CertificateSigned,
    ClaimsAnnounced,
    ClientSecret,
    CredentialValue,
    Enrolled,
    Identity,
    Lwm2m,
    MqttBasic,
    Oscore,
    Provisioned,
    Triple,
)
from core.model import (
    CredentialId,
    Device,
    DeviceId,
    DeviceState,
    Plain,
    ProfileId,
    Secret,
    SignedPolicy,
    TenantId,
)
from core.operate.associating import Associated
from core.registration import Withheld
from core.replicas import Shelved
from tests.fakes import SeededEntropy
from tests.replicas.shelf import Shelf
from tests.storage.entities import a_profile

DEVICE = Device(
    id=DeviceId("d1"),
    tenant=TenantId("default"),
    profile=ProfileId("p1"),
    name="meter \u00e9\u0000",
    state=DeviceState.PROVISIONED,
    metadata={"a": [1, 2.5, None, {"b": True}], "c": "\u2028"},
    created_at=1,
    updated_at=2,
)
PROFILE = msgspec.structs.replace(a_profile(), signed=SignedPolicy(product_key="pk"), plain=Plain.CHALLENGE, options=("x",))
IDENTITY = Identity(TenantId("default"), DeviceId("d1"), "meter", CredentialId("c1"), until=7)
SECRET = Secret("do not show")
CREDENTIALS: list[CredentialValue] = [
    AccessToken(SECRET),
    MqttBasic("c", "u", SECRET),
    Certificate("MII"),
    Lwm2m("urn:x"),
    ClientSecret(SECRET),
    Triple("pk", "dk", SECRET),
    Oscore("01", "02", SECRET),
]
ANSWERS: list[Any] = [
    *(Provisioned(device=DEVICE, profile=PROFILE, credential=each) for each in CREDENTIALS),
    Enrolled(device=DEVICE, profile=PROFILE, triple=Triple("pk", "dk", SECRET)),
    CertificateSigned(identity=IDENTITY, chain=(b"\x00\xff", b""), authorities=(), not_after=9, private_key=SECRET),
    ClaimsAnnounced(IDENTITY),
    Associated(DEVICE),
]


def vault(seed: int = 1) -> Vault:
    """Return a replica's vault; all have the master key in common, and nothing else."""
    return Vault(bytes(range(32)), SeededEntropy(seed))


def answers(shelf: Shelf, seed: int = 1, seconds: float = 60.0) -> SealedAnswers:
    return SealedAnswers(shelf, vault(seed), seconds, 15.0)


def kept(answer: Any) -> Kept:
    return Kept(name=b"n", print=b"p", answer=answer, secure=True, size=1)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda each: type(getattr(each, "credential", each)).__name__)
async def test_an_answer_is_given_again_by_another_replica(answer: Any) -> None:
    shelf = Shelf()
    one, other = answers(shelf), answers(shelf, 2)
    assert one.secret == other.secret
    assert await one.begin(b"s", b"n", b"p") is None
    assert await other.begin(b"s", b"n", b"p") == UnderWay(b"p")
    assert await one.keep(b"s", kept(answer))
    there = await other.begin(b"s", b"n", b"p")
    assert isinstance(there, Kept)
    assert (there.answer, there.secure, there.print) == (answer, True, b"p")
    assert SECRET.reveal().encode() not in shelf.there[b"s"].answer  # type: ignore[operator] # it was kept


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(Reason.CONFLICT, "no", check="reprovision.denied", retry_after=1.5, aside="why"),
        WrongSecret("no", check="x"),
        Withheld(Reason.CONFLICT, "no", "sn-1", check="credential.revoked"),
    ],
)
async def test_a_refusal_is_of_its_own_kind_again(refusal: Refusal) -> None:
    shelf = Shelf()
    await answers(shelf).begin(b"s", b"n", b"p")
    await answers(shelf).keep(b"s", kept(refusal))
    there = await answers(shelf, 2).begin(b"s", b"n", b"p")
    assert isinstance(there, Kept)
    assert (type(there.answer), vars(there.answer), str(there.answer)) == (type(refusal), vars(refusal), "no")


UNWRITABLE: list[Any] = [object(), Shelved(name=b"n", print=b"p"), Associated(msgspec.structs.replace(DEVICE, name="\ud800"))]


@pytest.mark.parametrize("answer", UNWRITABLE, ids=["object", "struct", "text"])
async def test_what_cannot_be_written_is_not_kept(answer: Any) -> None:
    shelf = Shelf()
    await answers(shelf).begin(b"s", b"n", b"p")
    assert await answers(shelf).keep(b"s", kept(answer))
    assert not await answers(shelf).knows(b"n")


async def test_an_answer_that_is_too_long_is_not_kept_and_none_is_without_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    await answers(shelf).begin(b"s", b"n", b"p")
    assert await answers(shelf, seconds=0.0).keep(b"s", kept(Associated(DEVICE)))
    assert not shelf.there
    monkeypatch.setattr(sealed_answers, "MOST_BYTES", 10)
    await answers(shelf).begin(b"s", b"n", b"p")
    assert not await answers(shelf).keep(b"s", kept(Associated(DEVICE)))
    assert not shelf.there


async def test_what_was_answered_is_answered_while_the_shelf_is_away_and_nothing_is_begun() -> None:
    shelf = Shelf()
    one = answers(shelf)
    await one.begin(b"s", b"n", b"p")
    shelf.is_away = True
    assert await one.keep(b"s", kept(Associated(DEVICE)))
    await one.drop(b"s")
    for asking in (one.begin(b"t", b"n", b"p"), one.knows(b"n")):
        with pytest.raises(Refusal, match="away"):
            await asking


async def test_an_answer_under_another_key_or_for_another_request_is_not_given() -> None:
    shelf = Shelf()
    one = answers(shelf)
    await one.begin(b"s", b"n", b"p")
    await one.keep(b"s", kept(Associated(DEVICE)))
    shelf.there[b"t"] = shelf.there[b"s"]
    stranger = SealedAnswers(shelf, Vault(bytes(32), SeededEntropy()), 60.0, 15.0)
    for asked in (one.begin(b"t", b"n", b"p"), stranger.begin(b"s", b"n", b"p")):
        with pytest.raises(Refusal) as refused:
            await asked
        assert refused.value.reason is Reason.UNAVAILABLE
    assert stranger.secret != one.secret


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '["Path", "x"]',
        '["Associated", {"device": 1, "more": 2}]',
        '["Reason", "x"]',
        '["bytes", "!"]',
        '["Device", []]',
    ],
)
def test_what_another_version_wrote_is_not_read(text: str) -> None:
    with pytest.raises(Unreadable):
        AnswerCodec(RESULTS).read(text)


def test_two_classes_of_one_name_are_told_at_once() -> None:
    other = type("Associated", (msgspec.Struct,), {})
    with pytest.raises(TypeError, match="Associated"):
        AnswerCodec((Associated, other))
