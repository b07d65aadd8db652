"""What looks like an association code, and where one is found that somebody typed."""

import pytest

from core.associate import CODE_ALPHABET, code_lookup, draw_code, is_code
from core.model import Secret
from tests.core.registry import Registry


@pytest.mark.parametrize("typed", ["7KQXMW3T9ZRD", "7kqx-mw3t-9zrd", " 7KQX MW3T\t9ZRD\r\n", "OIL0OIL0OIL0"])
def test_twelve_letters_and_digits_look_like_a_code(typed: str) -> None:
    assert is_code(Secret(typed))


@pytest.mark.parametrize("typed", ["", "-", "7KQXMW3T9ZR", "7KQXMW3T9ZRDX", "7KQXMW3T9ZR_", "7KQXMW3T9ZRÑ", "٣" * 12, "ß" * 12])
def test_anything_else_does_not(typed: str) -> None:
    assert not is_code(Secret(typed))


def test_a_code_that_is_drawn_is_found_however_it_is_typed() -> None:
    issuer = Registry().issuer
    code = draw_code(issuer.entropy)
    assert is_code(code)
    assert set(code.reveal()) <= set(CODE_ALPHABET)
    typed = Secret("-".join(code.reveal().lower()))
    assert code_lookup(typed, issuer.vault) == code_lookup(code, issuer.vault)
