"""A configuration's secret parts, sealed and opened again, and the entity tag that changes with whatever a device gets."""

import msgspec

from core.crypto.vault import Vault
from core.issuer import Issuer
from core.messages import ClientCertificates, ClientSecret
from core.model import (
    BootstrapConfig,
    Channel,
    Credential,
    CredentialKind,
    Device,
    DeviceId,
    DeviceState,
    Lookup,
    Sealed,
    Secret,
)
from core.queries import BootstrapSnapshot

ETAG_BYTES = 8  # the most that CoAP takes (RFC 7252, section 5.10)
_CERTIFICATES = msgspec.json.Decoder(tuple[str, str, str])


class Seals(msgspec.Struct, frozen=True):
    """Seals the parts of configurations, each bound to its place in its configuration."""

    vault: Vault

    def with_external_key(self, config: BootstrapConfig, key: Secret) -> BootstrapConfig:
        """Return the configuration with this external key."""
        return msgspec.structs.replace(config, external_key=self.vault.seal(key, config_row(config.id, "external key")))

    def with_content(self, config: BootstrapConfig, content: str) -> BootstrapConfig:
        """Return the configuration with this content."""
        sealed = self.vault.seal(Secret(content), config_row(config.id, "content")) if content else None
        return msgspec.structs.replace(config, content=sealed)

    def with_certificates(self, config: BootstrapConfig, certificates: ClientCertificates) -> BootstrapConfig:
        """Return the configuration with these certificates, found by their private key from now on."""
        key = certificates.client_key.reveal()
        texts = (certificates.client_cert, key, certificates.ca_cert)
        text = Secret(msgspec.json.encode(texts).decode())
        return msgspec.structs.replace(
            config,
            certificates=self.vault.seal(text, config_row(config.id, "certificates")) if any(texts) else None,
            client_key=client_key_lookup(certificates.client_key, self.vault) if key else None,
        )

    def external_key(self, identity: DeviceId, sealed: Sealed) -> Secret:
        """Return the external key of the configuration of this id. Raises `SealBroken`, as the others do."""
        return self.vault.open(sealed, config_row(identity, "external key"))

    def content(self, config: BootstrapConfig) -> str:
        """Return the content, empty where there is none."""
        return "" if config.content is None else self.vault.open(config.content, config_row(config.id, "content")).reveal()

    def certificates(self, config: BootstrapConfig) -> ClientCertificates:
        """Return the certificates."""
        if config.certificates is None:
            return ClientCertificates()
        text = self.vault.open(config.certificates, config_row(config.id, "certificates"))
        client_cert, client_key, ca_cert = _CERTIFICATES.decode(text.reveal())
        return ClientCertificates(client_cert, Secret(client_key), ca_cert)

    def etag(
        self, config: BootstrapConfig, secret: Secret, channels: tuple[Channel, ...], content: str, held: ClientCertificates
    ) -> str:
        """Return 16 hex digits of a keyed digest: who sees them learns nothing of the secrets behind them."""
        document = (
            config.version,
            secret.reveal(),
            [(channel.id, channel.name, channel.metadata) for channel in channels],
            content,
            (held.client_cert, held.client_key.reveal(), held.ca_cert),
        )
        return self.vault.digest("configuration", msgspec.json.encode(document, order="sorted"))[:ETAG_BYTES].hex()


def client_key_lookup(key: Secret, vault: Vault) -> Lookup:
    """Return the digest by which a configuration is found by the private key in its certificates."""
    return vault.lookup("client key", key.reveal())


def client_secret(credentials: tuple[Credential, ...], issuer: Issuer) -> Secret | None:
    """Return the newest client secret among the credentials of a device, None where it has none. Raises `SealBroken`."""
    now = issuer.clock.now()
    for credential in reversed(credentials):
        if credential.kind is CredentialKind.CLIENT_SECRET and not credential.is_over(now):
            value = issuer.reveal(credential)
            return value.secret if isinstance(value, ClientSecret) else None
    return None


def usable_channels(found: BootstrapSnapshot) -> tuple[Channel, ...]:
    """Return the channels that a device may use: all of its configuration's while that is active and the device is let in."""
    return found.channels if found.config.active and found.credentials and is_let_in(found.device) else ()


def is_let_in(device: Device) -> bool:
    """Tell whether a device is neither disabled nor discarded."""
    return device.enabled and device.state is not DeviceState.DISCARDED


def config_row(identity: DeviceId, part: str) -> bytes:
    """Return what a sealed part of a configuration is bound to: its `external key`, `content` or `certificates`."""
    return f"config:{identity}:{part}".encode()
