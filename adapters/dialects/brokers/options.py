"""What a deployment says about its brokers."""

import msgspec

from core.model import Secret


class DialectOptions(msgspec.Struct, frozen=True):
    """`secret` is what a broker proves itself with, `vhost` the virtual host of RabbitMQ that devices may use."""

    secret: Secret
    vhost: str = "/"
