import string
import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto.tokens import new_id, random_text
from tests.fakes import START, SeededEntropy


class Tape:
    """Entropy that plays back what was recorded, and remembers how much was drawn."""

    def __init__(self, *takes: bytes) -> None:
        self._takes = list(takes)

    def draw(self, size: int) -> bytes:
        take = self._takes.pop(0)
        assert len(take) <= size
        return take


@pytest.mark.parametrize("length", [0, 1, 20, 40, 300])
def test_a_random_text_has_its_length_and_alphabet(length: int) -> None:
    text = random_text(length, SeededEntropy())
    assert len(text) == length
    assert set(text) <= set(string.ascii_letters + string.digits)


def test_every_byte_below_248_stands_for_a_character_and_each_character_for_four_bytes() -> None:
    text = random_text(248, Tape(bytes(range(248))))
    assert set(Counter(text).values()) == {4}
    assert set(text) == set(string.ascii_letters + string.digits)


def test_bytes_that_would_favour_some_characters_are_thrown_away() -> None:
    unfair = bytes(range(248, 256))
    assert random_text(2, Tape(unfair + b"\x00", b"\x01" + unfair)) == "AB"


def test_more_is_drawn_until_there_is_enough() -> None:
    assert random_text(3, Tape(b"", b"\x00", b"\xff" * 11, b"\x01\x02\x03")) == "ABC"


def test_the_published_example_of_a_uuid_version_7() -> None:
    # RFC 9562, appendix A.6
    rand_a, rand_b = 0xCC3, 0x18C4DC0C0C07398F
    drawn = (rand_a << 64 | rand_b).to_bytes(10, "big")
    assert new_id(0x017F22E279B0, Tape(drawn)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(now=st.integers(0, 2**48 - 1), drawn=st.binary(min_size=10, max_size=10))
def test_an_id_has_the_layout_of_rfc_9562_section_5_7(now: int, drawn: bytes) -> None:
    text = new_id(now, Tape(drawn))
    identity = uuid.UUID(text)
    assert str(identity) == text
    assert identity.variant == uuid.RFC_4122
    assert identity.version == 7
    assert identity.int >> 80 == now


def test_ids_sort_by_the_time_of_their_making() -> None:
    entropy = SeededEntropy()
    ids = [new_id(START + later, entropy) for later in range(200)]
    assert ids == sorted(ids)


def test_ids_of_one_moment_differ() -> None:
    entropy = SeededEntropy()
    assert len({new_id(START, entropy) for _ in range(1000)}) == 1000
