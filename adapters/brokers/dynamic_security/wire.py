"""The plug-in's own vocabulary: commands, lists and answers as JSON.

https://mosquitto.org/documentation/dynamic-security/ and, for what it does not say, the answers of mosquitto 2.0.11.
"""

from typing import Final

import msgspec

COMMANDS: Final = "$CONTROL/dynamic-security/v1"
ANSWERS: Final = "$CONTROL/dynamic-security/v1/response"

SEND: Final = "publishClientSend"
RECEIVE: Final = "publishClientReceive"
SUBSCRIBE: Final = "subscribePattern"


class Acl(msgspec.Struct, frozen=True):
    """One access rule of a role; of those that match, the one of the highest priority counts."""

    acltype: str
    topic: str
    priority: int = 0
    allow: bool = True


class RoleName(msgspec.Struct, frozen=True):
    """A role as a client has it."""

    rolename: str


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", omit_defaults=True):
    """What the plug-in is asked to do. Its answer carries the same `correlationData`."""

    correlationData: str = ""  # noqa: N815 - the plug-in's own name


class CreateRole(Command, frozen=True, kw_only=True, tag="createRole"):
    """Make a role."""

    rolename: str
    textname: str
    acls: tuple[Acl, ...]


class ModifyRole(Command, frozen=True, kw_only=True, tag="modifyRole"):
    """Replace all access rules of a role."""

    rolename: str
    acls: tuple[Acl, ...]


class DeleteRole(Command, frozen=True, kw_only=True, tag="deleteRole"):
    """Remove a role."""

    rolename: str


class CreateClient(Command, frozen=True, kw_only=True, tag="createClient"):
    """Make a client; without `clientid` it may log in with any."""

    username: str
    password: str
    clientid: str = ""
    textname: str
    textdescription: str
    roles: tuple[RoleName, ...]

    def __repr__(self) -> str:
        return f"CreateClient(username={self.username!r})"


class ModifyClient(Command, frozen=True, kw_only=True, tag="modifyClient", omit_defaults=False):
    """Give a client another password, client id (empty: any), description and roles."""

    username: str
    password: str
    clientid: str
    textdescription: str
    roles: tuple[RoleName, ...]

    def __repr__(self) -> str:
        return f"ModifyClient(username={self.username!r})"


class EnableClient(Command, frozen=True, kw_only=True, tag="enableClient"):
    """Let a client in again."""

    username: str


class DisableClient(Command, frozen=True, kw_only=True, tag="disableClient"):
    """Throw a client out and keep it out."""

    username: str


class DeleteClient(Command, frozen=True, kw_only=True, tag="deleteClient"):
    """Throw a client out and forget it."""

    username: str


class AskDefaults(Command, frozen=True, kw_only=True, tag="getDefaultACLAccess"):
    """Ask what is allowed where no access rule matches."""


class ListClients(Command, frozen=True, kw_only=True, tag="listClients", omit_defaults=False):
    """Ask for some clients, in the order of their names."""

    count: int
    offset: int
    verbose: bool = True


class ListRoles(Command, frozen=True, kw_only=True, tag="listRoles", omit_defaults=False):
    """Ask for some roles, in the order of their names."""

    count: int
    offset: int
    verbose: bool = True


class Commands(msgspec.Struct, frozen=True):
    """What one message asks for."""

    commands: tuple[Command, ...]


Change = CreateRole | ModifyRole | DeleteRole | CreateClient | ModifyClient | EnableClient | DisableClient | DeleteClient


class ListedClient(msgspec.Struct, frozen=True):
    """A client as the plug-in shows it: never its password."""

    username: str
    clientid: str = ""
    textname: str = ""
    textdescription: str = ""
    disabled: bool = False
    roles: tuple[RoleName, ...] = ()


class ListedRole(msgspec.Struct, frozen=True):
    """A role as the plug-in shows it."""

    rolename: str
    textname: str = ""
    acls: tuple[Acl, ...] = ()


class Data(msgspec.Struct, frozen=True):
    """What an answer brings beside its success."""

    acls: tuple["Default", ...] = ()
    clients: tuple[ListedClient, ...] = ()
    roles: tuple[ListedRole, ...] = ()


class Default(msgspec.Struct, frozen=True):
    """What is done where no access rule of this type matches."""

    acltype: str
    allow: bool


class Answer(msgspec.Struct, frozen=True):
    """What became of one command; an empty `error` is success. `data` is as that command has it."""

    command: str = ""
    correlationData: str = ""  # noqa: N815 - the plug-in's own name
    error: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Answers(msgspec.Struct, frozen=True):
    """The answers to the commands of one message, in their order."""

    responses: tuple[Answer, ...] = ()
