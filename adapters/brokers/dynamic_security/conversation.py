"""Commands to the plug-in and its answers, over one connection."""

import asyncio
import itertools
import secrets
from typing import Final

import aiomqtt
import msgspec

from adapters.brokers.cancelling import unless_cancelled
from adapters.brokers.dynamic_security.wire import (
    ANSWERS,
    COMMANDS,
    SEND,
    Answer,
    Answers,
    AskDefaults,
    Command,
    Commands,
    Data,
    ListClients,
    ListedClient,
    ListedRole,
    ListRoles,
)
from adapters.brokers.link import Refused

ANSWER_SECONDS: Final = 30.0
LISTED: Final = 200
_REFUSED_SUBSCRIPTION: Final = 0x80  # and above (OASIS MQTT 5.0, section 3.9.3; 3.1.1, section 3.9.3)
_MUST_BE_DENIED: Final = (SEND, "subscribe")


class Silence(aiomqtt.MqttError):
    """The plug-in did not answer in time."""


class Conversation:
    """One question at a time. `listen` has to run beside it. Lists are asked for in pages of `listed`.

    Mosquitto 2.0.11 sends an answer to everybody who listens for answers, so what carries no mark of this conversation is for
    somebody else, in whatever form.
    """

    def __init__(self, client: aiomqtt.Client, answer_seconds: float = ANSWER_SECONDS, listed: int = LISTED) -> None:
        self._client = client
        self._answer_seconds = answer_seconds
        self._listed = listed
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._awaited: asyncio.Future[tuple[Answer, ...]] | None = None
        self._mark = ""
        self._answers = msgspec.json.Decoder(Answers)
        self._data = msgspec.json.Decoder(Data)

    async def listen(self) -> None:
        """Take answers in until the connection is lost; raises `MqttError` then."""
        async for message in self._client.messages:
            try:
                answers = self._answers.decode(bytes(message.payload)).responses
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            awaited = self._awaited
            if awaited is not None and not awaited.done() and answers and answers[0].correlationData == self._mark:
                awaited.set_result(answers)

    async def open(self) -> None:
        """Begin. Raises `Refused` where the plug-in is not there, is not ours to command, or lets everybody do everything."""
        granted = await unless_cancelled(self._client.subscribe(ANSWERS, qos=1))
        if any((code if isinstance(code, int) else code.value) >= _REFUSED_SUBSCRIPTION for code in granted):
            raise Refused(f"this user may not subscribe to {ANSWERS}; give it a role that may use $CONTROL/dynamic-security/#")
        try:
            defaults = await self._data_of(AskDefaults())
        except Silence as error:
            raise Refused(
                "dynamic security does not answer; load mosquitto_dynamic_security.so in the broker's configuration, and give "
                "this user a role that may publish to and receive from $CONTROL/dynamic-security/#"
            ) from error
        allowed = [default.acltype for default in defaults.acls if default.allow and default.acltype in _MUST_BE_DENIED]
        if allowed:
            raise Refused(
                f"the broker allows {' and '.join(allowed)} where no rule matches, so every device could use every topic; "
                f"for each run: mosquitto_ctrl dynsec setDefaultACLAccess {allowed[0]} deny"
            )

    async def ask(self, *commands: Command) -> tuple[Answer, ...]:
        """Give commands and return an answer to each. Raises `Silence` where none come, `MqttError` on a lost connection."""
        self._mark = f"{self._name}-{next(self._numbers)}"
        self._awaited = asyncio.get_running_loop().create_future()
        marked = [msgspec.structs.replace(command, correlationData=self._mark) for command in commands]
        await unless_cancelled(self._client.publish(COMMANDS, msgspec.json.encode(Commands(tuple(marked))), qos=1))
        try:
            async with asyncio.timeout(self._answer_seconds):
                answers = await self._awaited
        except TimeoutError as error:
            raise Silence(f"dynamic security did not answer within {self._answer_seconds:g} s") from error
        if len(answers) != len(commands):
            raise aiomqtt.MqttError("dynamic security did not answer each command")
        return answers

    async def clients(self) -> list[ListedClient]:
        """Return all clients of the broker. Raises as `ask`."""
        found: list[ListedClient] = []
        while True:
            page = (await self._data_of(ListClients(count=self._listed, offset=len(found)))).clients
            found += page
            if len(page) < self._listed:
                return found

    async def roles(self) -> list[ListedRole]:
        """Return all roles of the broker. Raises as `ask`."""
        found: list[ListedRole] = []
        while True:
            page = (await self._data_of(ListRoles(count=self._listed, offset=len(found)))).roles
            found += page
            if len(page) < self._listed:
                return found

    async def _data_of(self, command: Command) -> Data:
        (answer,) = await self.ask(command)
        if answer.error:
            raise aiomqtt.MqttError(f"dynamic security does not tell what it has: {answer.error}")
        try:
            return self._data.decode(answer.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise aiomqtt.MqttError(f"an answer of dynamic security cannot be read: {error}") from error
