"""The installed library is asked at start whether it has what is needed."""

import pytest
from OpenSSL import SSL

from adapters.tls import selftest as asked
from adapters.tls.engine import Engine


def test_the_installed_library_fits() -> None:
    asked.selftest()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(SSL, "OP_NO_RENEGOTIATION")
    with pytest.raises(RuntimeError, match="it has no OP_NO_RENEGOTIATION"):
        asked.selftest()


def test_what_comes_out_differently_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(Engine, "shake_hands", lambda _: False)
        with pytest.raises(RuntimeError, match="a handshake came out differently"):
            asked.selftest()
    with monkeypatch.context() as changed:
        changed.setattr(SSL.Connection, "get_peer_cert_chain", lambda _: None)
        with pytest.raises(RuntimeError, match="the chain of a client's certificate came out differently"):
            asked.selftest()
    with monkeypatch.context() as changed:
        changed.setattr(Engine, "read", lambda _: b"other words")
        with pytest.raises(RuntimeError, match="what was encrypted came out differently"):
            asked.selftest()
    with monkeypatch.context() as changed:
        changed.setattr(SSL.Connection, "set_accept_state", lambda _: 1 / 0)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            asked.selftest()
