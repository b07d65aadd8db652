"""What brokers ask about those who connect to them: EMQX, mosquitto-go-auth, VerneMQ and RabbitMQ, over HTTP.

| Path | Asked by |
| --- | --- |
| `/v1/broker/emqx/authn`, `authz` | EMQX 5, HTTP authenticator and authorizer |
| `/v1/broker/goauth/user`, `acl`, `superuser` | mosquitto-go-auth, back end `http`; nobody is a superuser |
| `/v1/broker/vernemq` | VerneMQ, webhooks |
| `/v1/broker/rabbitmq/user`, `vhost`, `resource`, `topic` | RabbitMQ, back end `http` of its authentication, also with GET |

A broker proves itself by a secret: `Authorization: Bearer SECRET`, the password of Basic (RFC 7617), or `?secret=SECRET` where
it can be given nothing but a URL. Without it the answer is 401, whatever the vendor; all else that is refused is answered as
the vendor wants it, so that it ends in no: EMQX, VerneMQ and RabbitMQ take nothing but a status of 200 for an answer.

VerneMQ can rewrite: a connection goes on under the id of its device, and topics that name no device are told apart by it. The
others take topics as they are, and know a connection by its names: the client id should be the device's own.

A topic is decided each time that a broker asks. What a broker caches, or keeps for as long as a connection lasts, it does by
itself: leave its caches off. Refused topics are counted and logged, and are no events.
"""

from adapters.dialects.brokers.declined import Declined, decline
from adapters.dialects.brokers.dialect import NAME, BrokersDialect
from adapters.dialects.brokers.options import DialectOptions
from adapters.exchange import Dialect

__all__ = ["NAME", "Declined", "DialectOptions", "decline", "open_dialect"]


def open_dialect(options: DialectOptions) -> Dialect:
    """Return the dialect."""
    return BrokersDialect(options)
