import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto.vault import SealBroken, Vault
from core.model import Sealed, Secret
from tests.core.registry import MASTER_KEY
from tests.fakes import SeededEntropy

ROW = b"credential:1"


def vault(master_key: bytes = MASTER_KEY, seed: int = 1) -> Vault:
    return Vault(master_key, SeededEntropy(seed))


@given(text=st.text(alphabet=st.characters(exclude_categories=())), row=st.binary())
def test_what_is_sealed_opens_again(text: str, row: bytes) -> None:
    box = vault()
    assert box.open(box.seal(Secret(text), row), row).reveal() == text


def test_a_vault_opens_what_another_one_with_the_same_key_sealed() -> None:
    assert vault(seed=2).open(vault().seal(Secret("field"), ROW), ROW) == Secret("field")


def test_two_seals_of_one_secret_differ() -> None:
    box = vault()
    assert box.seal(Secret("field"), ROW) != box.seal(Secret("field"), ROW)


def test_a_seal_does_not_hold_the_text() -> None:
    assert vault().seal(Secret("field"), ROW).find(b"field") < 0


def test_a_seal_is_bound_to_its_row() -> None:
    box = vault()
    with pytest.raises(SealBroken):
        box.open(box.seal(Secret("field"), ROW), b"credential:2")


def test_a_seal_of_another_master_key_is_told_apart_before_it_is_opened() -> None:
    with pytest.raises(SealBroken, match="another master key"):
        vault(bytes(32)).open(vault().seal(Secret("field"), ROW), ROW)


def test_every_altered_bit_breaks_the_seal() -> None:
    box = vault()
    sealed = box.seal(Secret("field"), ROW)
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(SealBroken):
            box.open(Sealed(bytes(altered)), ROW)


def test_a_seal_that_is_cut_off_anywhere_or_goes_on_is_broken() -> None:
    box = vault()
    sealed = box.seal(Secret("field"), ROW)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            box.open(Sealed(sealed[:length]), ROW)
    with pytest.raises(SealBroken):
        box.open(Sealed(sealed + b"\x00"), ROW)


def test_the_layout_is_format_key_id_nonce_ciphertext_and_tag() -> None:
    first, second = vault().seal(Secret("field"), ROW), vault(bytes(32)).seal(Secret("field"), ROW)
    assert (first[0], second[0]) == (1, 1)
    assert first[1:5] != second[1:5]
    assert len(first) == 1 + 4 + 12 + len("field") + 16


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_master_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes, not 32"):
        vault(bytes(size))


def test_a_lookup_is_the_same_for_the_same_key_purpose_and_text() -> None:
    assert vault().lookup("credential", "meter") == vault(seed=9).lookup("credential", "meter")
    assert len(vault().lookup("credential", "meter")) == 32


def test_lookups_of_other_purposes_texts_and_keys_differ() -> None:
    lookups = {
        vault().lookup("credential", "meter"),
        vault().lookup("operator token", "meter"),
        vault().lookup("credential", "meters"),
        vault().lookup("", "credential\x00meter"),
        vault(bytes(32)).lookup("credential", "meter"),
    }
    assert len(lookups) == 5


def test_purpose_and_text_cannot_be_shifted_into_each_other() -> None:
    assert vault().lookup("credential", "s") != vault().lookup("credentials", "")


def test_a_lookup_is_made_of_any_text() -> None:
    assert len(vault().lookup("credential", "\ud800")) == 32


def test_the_decoy_is_the_secret_of_nobody() -> None:
    box = vault()
    assert box.open_decoy() == box.open_decoy()
    assert box.open_decoy() != Secret("")


def test_a_previous_key_opens_what_it_sealed_and_seals_nothing() -> None:
    before = vault()
    now = Vault(bytes(32), SeededEntropy(), previous=MASTER_KEY)
    sealed = before.seal(Secret("field"), ROW)
    assert now.open(sealed, ROW) == Secret("field")
    assert not now.sealed_now(sealed)
    again = now.seal(Secret("field"), ROW)
    assert now.sealed_now(again)
    assert vault(bytes(32)).open(again, ROW) == Secret("field")
    with pytest.raises(SealBroken):
        before.open(again, ROW)


def test_a_previous_key_has_32_bytes_too() -> None:
    with pytest.raises(ValueError, match="31 bytes, not 32"):
        Vault(MASTER_KEY, SeededEntropy(), previous=bytes(31))


def test_a_lookup_key_of_its_own_stays_when_the_master_key_goes() -> None:
    kept = bytes(range(100, 132))
    one, other = (Vault(key, SeededEntropy(), lookup_key=kept) for key in (MASTER_KEY, bytes(32)))
    assert one.lookup("credential", "meter") == other.lookup("credential", "meter")
    assert one.lookup("credential", "meter") != vault().lookup("credential", "meter")
