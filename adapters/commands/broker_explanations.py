"""What each check that can refuse a broker's question means for the operator, and what to do about it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_CONFIGURE: Final = "Compare the broker's configuration with the example in deploy/brokers."

BROKERS: Final = MappingProxyType(
    {
        "broker.secret": Explanation(
            "Somebody asked at the paths that are for brokers, without the secret or with another one.",
            "If it is your broker: give it the secret of FIRSTLIGHT_BROKER_SECRET, as the examples in deploy/brokers do."
            " If not, let nobody but the broker reach these paths.",
        ),
        "broker.question": Explanation("A broker asked something that cannot be read; the detail says what.", _CONFIGURE),
        "broker.external_key": Explanation(
            "A device tried to log in at a broker with its external key, which opens its configuration and nothing else.",
            "Have the device fetch its configuration and log in with the secret that is in it.",
        ),
        "broker.name": Explanation(
            "The broker asks by names alone, and by its names this connection could be somebody else, or nobody at all.",
            "Give each device a user name of its own that is no other device's id. Users log in with their MQTT secret.",
        ),
        "broker.client_id": Explanation(
            "The device logged in with the id of another device for a client id; it would have got what waits for that one.",
            "Have each device use its own id, or something of its own, for a client id.",
        ),
        "broker.topic": Explanation(
            "The device may not publish or subscribe to this topic.",
            "Compare the topic with those of its dialect, and the channels with its configuration"
            " (firstlight config show DEVICE).",
        ),
        "broker.superuser": Explanation("The broker asked whether somebody is a superuser; nobody is.", _CONFIGURE),
        "broker.vhost": Explanation("Somebody wanted into a virtual host that is not for devices.", _CONFIGURE),
        "broker.resource": Explanation(
            "Somebody wanted to use a queue or an exchange that is not for devices.",
            "Devices speak MQTT to a broker; whoever speaks AMQP needs a user of the broker's own.",
        ),
    }
)
