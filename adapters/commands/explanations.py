"""What each check that can refuse a request means for the operator, and what to do about it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.allocating_explanations import ALLOCATING, ALLOCATING_COMMANDS
from adapters.commands.associating_explanations import ASSOCIATING, ASSOCIATING_COMMANDS
from adapters.commands.authority_explanations import AUTHORITY, AUTHORITY_COMMANDS
from adapters.commands.broker_explanations import BROKERS
from adapters.commands.certificate_explanations import CERTIFICATES
from adapters.commands.claim_explanations import CLAIM_KEY_COMMANDS, CLAIM_KEYS
from adapters.commands.configuring_explanations import CONFIGURING, CONFIGURING_COMMANDS
from adapters.commands.directing_explanations import DIRECTING_COMMANDS
from adapters.commands.explanation import Explanation
from adapters.commands.issuing_explanations import ISSUING_COMMANDS
from adapters.commands.login_explanations import LOGINS
from adapters.commands.policy_explanations import POLICY, POLICY_COMMANDS
from adapters.commands.signed_explanations import SIGNED
from adapters.commands.trust_explanations import TRUST
from adapters.commands.trusting_explanations import TRUSTING, TRUSTING_COMMANDS
from adapters.commands.xively_explanations import XIVELY


def explanation(check: str, detail: str, dialect: str = "", actor: str = "") -> Explanation:
    """Return what a check means to who asked in a dialect: some checks refuse both devices and operators (who have a name).

    An unknown one speaks by the event's own detail, a known protocol by its fault.
    """
    of_commands = dialect == _OPERATOR or bool(actor)
    known = (COMMANDS.get(check) if of_commands else None) or EXPLANATIONS.get(check) or COMMANDS.get(check)
    if known is not None:
        return known
    protocol = _PROTOCOLS.get(check.partition(".")[0])
    if protocol:
        return Explanation(f"{protocol} {detail}".rstrip(), _ASK_CLIENT if of_commands else _ASK_FIRMWARE)
    return Explanation(detail or f"The check {check} refused the request.", _ASK_COMMAND if of_commands else "")


_OPERATOR: Final = "operator"
_ASK_COMMAND: Final = "Correct the command: --help names its options, and /openapi.json the fields of the operator API."
_ASK_CLIENT: Final = "Compare what the client of the operator API sends with its description, /openapi.json."
_ASK_FIRMWARE: Final = "Compare what the firmware sends with the protocol's and the vendor's documents."
_PROTOCOLS: Final = MappingProxyType(
    {
        "http": "The request broke a rule or a bound of HTTP here:",
        "coap": "The datagram broke a rule or a bound of CoAP here:",
        "mqtt": "The packet broke a rule or a bound of MQTT here:",
    }
)
_CLAIM: Final = "The device was told only that key and secret are not known together, so that nobody can probe for keys."
_LOGIN: Final = (
    "Look the device up (firstlight device show NAME); give it what it should have, or firstlight device rotate NAME."
)
_RESEND: Final = "It may come again; if this goes on, slow the devices down or raise the bound named in firstlight check."

EXPLANATIONS: Final = MappingProxyType(
    {
        **CONFIGURING,
        **ALLOCATING,
        **ASSOCIATING,
        **SIGNED,
        **LOGINS,
        **CERTIFICATES,
        **AUTHORITY,
        **XIVELY,
        **BROKERS,
        **TRUST,
        **TRUSTING,
        **POLICY,
        **CLAIM_KEYS,
        "claim.empty": Explanation(
            "The device sent an empty claim key or an empty secret.",
            "Write the profile's key and secret into the firmware (firstlight profile show NAME shows the key).",
        ),
        "claim.key": Explanation(
            f"No profile has the claim key that the device sent. {_CLAIM}",
            "Compare the firmware's key with firstlight profile list; a deleted profile's key is gone for good.",
        ),
        "claim.secret": Explanation(
            f"A profile has this claim key, but the secret is another. {_CLAIM}",
            "Give the firmware the right secret; if nobody knows it any more, firstlight profile rotate NAME makes a new one."
            " Many of these from one source may be someone guessing.",
        ),
        "credential.kind": Explanation(
            "The device proposed another kind of credential than its profile's devices have, or none where it must bring one.",
            "Let the firmware propose that kind, or make the device with firstlight device define.",
        ),
        "profile.disabled": Explanation(
            "Key and secret are right, but the profile is disabled and lets nobody in.",
            "If that is not meant: firstlight profile change NAME --strategy create_new (or pre_provisioned).",
        ),
        "device.name_blank": Explanation(
            "The device sent a name of nothing but white space.",
            "Correct the name in the firmware, or leave it out to have one generated (create_new profiles).",
        ),
        "device.name_missing": Explanation(
            "The profile lets in only devices that were defined before, and this one did not say its name.",
            "Have the firmware send its name.",
        ),
        "device.name_length": Explanation(
            "The device's name is longer than the registry takes.", "Shorten it to 255 characters in the firmware."
        ),
        "device.name_characters": Explanation(
            "The device's name holds control characters or markup, which could harm whoever reads it in a list.",
            "Correct the name in the firmware; if you do not know the device, someone may be trying things out.",
        ),
        "device.unknown": Explanation(
            "Key and secret are right, but no device of this name was defined, and the profile lets in no other.",
            "If the device is yours: firstlight device define NAME --profile P; then it may try again. Check the spelling too.",
        ),
        "device.exists": Explanation(
            "A device of this name was created before, and the profile refuses who asks again.",
            "If it is the same device without its credential: firstlight device delete NAME lets it start over, or"
            " firstlight profile change P --reprovision same (or rotate) for all. If not, two devices share a name.",
        ),
        "device.already_provisioned": Explanation(
            "The device was provisioned before, and the profile refuses who asks again.",
            "If it lost its credential: firstlight device reset NAME lets it in once more, or"
            " firstlight profile change P --reprovision same for all. If not, two devices share a name.",
        ),
        "device.other_profile": Explanation(
            "A device of this name exists and belongs to another profile than the key that was sent.",
            "Give the firmware the key of the device's own profile, or delete the device and let it come in by this one.",
        ),
        "device.disabled": Explanation("The device is disabled.", "If that is not meant: firstlight device enable NAME."),
        "device.discarded": Explanation(
            "The device was discarded.", "If it is to come back: firstlight device reset NAME lets it provision again."
        ),
        "device.lifecycle": Explanation(
            "The device is not in a state from which this step is possible.",
            "firstlight device show NAME shows its state; firstlight device reset NAME puts it back to defined.",
        ),
        "tenant.device_limit": Explanation(
            "The tenant has as many devices as it may have.",
            "Delete devices that are gone, or raise FIRSTLIGHT_DEVICE_LIMIT and restart the gateway.",
        ),
        "credential.taken": Explanation(
            "The credential that the device proposed belongs to another device already.",
            "Give every device a token, user name or certificate of its own; the name stays free for another try.",
        ),
        "credential.revoked": Explanation(
            "The device would get its credential again, but all its credentials were revoked.",
            "If it is to come back: firstlight device rotate NAME gives it a new one.",
        ),
        "credential.not_kept": Explanation(
            "The device would get its credential again, but it was made when the profile did not keep credentials.",
            "firstlight device rotate NAME makes one that is kept; from then on the profile can give it again.",
        ),
        "credential.mqtt_basic": Explanation(
            "The device proposed MQTT credentials that cannot be looked up: a password alone, or a client id with a password.",
            "Have the firmware send a user name too, or a client id without a password.",
        ),
        "credential.characters": Explanation(
            "The credential that the device proposed holds a control character.", "Correct it in the firmware."
        ),
        "credential.empty": Explanation(
            "The credential that the device proposed has an empty value where its type needs one.",
            "Have the firmware send the value, or none at all to have a token generated.",
        ),
        "login.token": Explanation("No device has the access token that was presented.", _LOGIN),
        "login.user": Explanation(
            "No device has the MQTT user name or client id that was presented.",
            "A device without credentials has the user name provision (ThingsBoard) or bootstrap (Mainflux, Magistrala). "
            + _LOGIN,
        ),
        "login.password": Explanation(
            "The MQTT user name or client id is a device's, but the password (or the other part) is not right; or a user of the"
            " directory gave an account, a login or a password that is not right.",
            f"{_LOGIN} An admin may give the user another password.",
        ),
        "limit.source": Explanation(
            "This source address made more attempts than FIRSTLIGHT_LIMIT_SOURCE allows.",
            "Behind one NAT many devices share an address: raise the limit. Otherwise find out who is trying so often.",
        ),
        "limit.claim_key": Explanation(
            "More attempts were made with this claim key than FIRSTLIGHT_LIMIT_CLAIM_KEY allows.",
            "If a fleet starts all at once, raise the limit; the devices come again by themselves. If not, rotate the secret.",
        ),
        "limit.login": Explanation(
            "This source address presented wrong credentials more often than FIRSTLIGHT_LIMIT_FAILURES allows, or for this one"
            " device or user than FIRSTLIGHT_LIMIT_FAILURES_PAIR does. Those that got in from there before still do.",
            "Look at the refusals before this one (firstlight event list --kind login.refused) and mend what they name.",
        ),
        "limit.bearer": Explanation(
            "This source address presented wrong operator tokens more often than FIRSTLIGHT_LIMIT_FAILURES allows.",
            "Wait a little and use a right one (firstlight token list). If it was none of you, someone is guessing from there.",
        ),
        "registry.conflict": Explanation(
            "Other requests changed the same entries at the same moment, three times in a row; nothing was written.",
            "Nothing to do: the device may try again. If it happens often, several devices share one name.",
        ),
        "requests.pending": Explanation("The gateway was busy and turned the request away; nothing was written.", _RESEND),
        "keys.pending": Explanation(
            "Too many passwords were waiting to be checked, which is slow on purpose; nothing was written.", _RESEND
        ),
        "storage.queue": Explanation(
            "More requests were waiting for the registry than it lets wait; nothing was written.",
            "It may come again; if this goes on, slow the devices down or give the registry a faster disk.",
        ),
        "storage.closed": Explanation(
            "The gateway was stopping and its registry was closed already; nothing was written.",
            "It may come again once the gateway is back.",
        ),
        "storage.failed": Explanation(
            "The registry could not read or write its file: the disk is full or broken, or another program holds the file.",
            "Look for the cause in the gateway's log, and at the room and the rights of the folder that the file is in.",
        ),
        "storage.value": Explanation(
            "A value cannot be stored in a database, such as a text that is not whole Unicode.",
            "Correct the texts in what was sent.",
        ),
        "request.path": Explanation(
            "Nothing is served at the path that was asked for.",
            "Compare the path in the firmware, case and leading slash too, and what is spoken at the address that it asked "
            "(FIRSTLIGHT_HTTP, FIRSTLIGHT_COAP, FIRSTLIGHT_MQTT, FIRSTLIGHT_DIALECTS).",
        ),
        "request.method": Explanation(
            "The path is right and the method is not.", "Have the firmware use one of the methods that the detail names."
        ),
        "request.encoding": Explanation(
            "The path or the query of the request is not UTF-8.", "Correct how the client encodes its path and query."
        ),
        "body.empty": Explanation("The request had no body.", "Have the firmware send its JSON object."),
        "body.unparsed": Explanation(
            "The body is not what the dialect speaks.",
            "Have the firmware send one JSON object in UTF-8; a body cut off by a small send buffer looks like this too.",
        ),
        "body.field": Explanation(
            "A field of the body is missing or of the wrong kind; the detail names it.", "Correct the field in the firmware."
        ),
        "body.json": Explanation(
            "The body is not JSON in UTF-8, or is nested too deep; the detail says where.", "Correct the body that was sent."
        ),
        "query": Explanation(
            "A query parameter is unknown or of the wrong kind; the detail names it.",
            "Correct the parameter; /openapi.json names those of each path.",
        ),
        "bearer.missing": Explanation(
            "The operator API was asked without a token.",
            "Send the header Authorization: Bearer TOKEN; firstlight token create NAME --role R makes tokens.",
        ),
        "bearer.unknown": Explanation(
            "The operator API was asked with a token that does not exist, or no longer.",
            "If it was you: firstlight token list shows which there are; FIRSTLIGHT_PROVISION_API_KEY, too, has to be such a "
            "token. Otherwise someone may be guessing.",
        ),
        "role": Explanation(
            "The token is known, but its role does not allow what was asked.",
            "Use a token of a wider role (firstlight token create --help lists them), if its bearer is to do this.",
        ),
        "internal": Explanation(
            "The gateway itself failed at this request.",
            "Search its log for this correlation id; there is the reason. Please report it.",
        ),
    }
)

COMMANDS: Final = MappingProxyType(
    {
        **CONFIGURING_COMMANDS,
        **ALLOCATING_COMMANDS,
        **ASSOCIATING_COMMANDS,
        **DIRECTING_COMMANDS,
        **ISSUING_COMMANDS,
        **TRUSTING_COMMANDS,
        **AUTHORITY_COMMANDS,
        **POLICY_COMMANDS,
        **CLAIM_KEY_COMMANDS,
        "body.empty": Explanation("The request had no body.", "Send a JSON object; /openapi.json describes it."),
        "body.field": Explanation(
            "A field of the body is missing, unknown or of the wrong kind; the detail names it.", _ASK_COMMAND
        ),
        "request.path": Explanation(
            "The operator API has nothing at the path that was asked for.", "Compare it with the paths in /openapi.json."
        ),
        "request.method": Explanation(
            "The path is right and the method is not.", "Use one of the methods that the detail names."
        ),
        "device.unknown": Explanation(
            "There is no device of this id or name.", "firstlight device list shows which there are."
        ),
        "profile.unknown": Explanation(
            "There is no profile of this id or name.", "firstlight profile list shows which there are."
        ),
        "token.unknown": Explanation("There is no token of this id or name.", "firstlight token list shows which there are."),
        "tenant.unknown": Explanation("There is no tenant of this id.", "Leave the tenant out to ask for the token's own."),
        "tenant.other": Explanation(
            "The token belongs to another tenant than the one that was named, and only an admin may do that.",
            "Leave the tenant out, or use a token of that tenant.",
        ),
        "device.name_blank": Explanation("The device's name is nothing but white space.", _ASK_COMMAND),
        "device.name_missing": Explanation("The device's name is empty.", _ASK_COMMAND),
        "device.name_length": Explanation(
            "The device's name is longer than the registry takes.", "Shorten it to 255 characters."
        ),
        "device.name_characters": Explanation(
            "The device's name holds control characters or markup, which could harm whoever reads it in a list.", _ASK_COMMAND
        ),
        "credential.mqtt_basic": Explanation(
            "MQTT credentials like these cannot be looked up: a password alone, or a client id with a password.",
            "Name a user too, or a client id without a password.",
        ),
        "credential.characters": Explanation("The credential holds a control character.", _ASK_COMMAND),
        "credential.empty": Explanation(
            "The credential has an empty value where its type needs one.", "Give the value, or leave it out to have one drawn."
        ),
        "credential.length": Explanation("A part of the credential is longer than the registry takes.", _ASK_COMMAND),
        "credential.certificate": Explanation(
            "What was given as a certificate is none.", "Give one certificate, as PEM or as its bare base64."
        ),
        "device.state": Explanation(
            "A device cannot be put into this state by hand.", "Use defined or discarded (firstlight device reset NAME)."
        ),
        "profile.options": Explanation(
            "The profile was to have an option that no dialect knows.", "Use one of the options that the detail names."
        ),
        "import.rows": Explanation("The import has more rows than one request may.", "Send them in parts."),
        "import.profile": Explanation(
            "A row of the import names no profile, or one that does not exist.",
            "firstlight profile list shows which there are.",
        ),
        "import.name": Explanation("Two rows of the import have one name.", "Leave one of them out."),
        "import.credential": Explanation(
            "Two rows of the import have one credential.", "Give every device a token, user name or certificate of its own."
        ),
        "token.name_reserved": Explanation(
            "Events use this name for the bearer of the admin token.", "Choose another name for the token."
        ),
        "import.seconds": Explanation(
            "The import took longer than one request may; the rows that were done are kept.",
            "Send the same again: it goes on from there.",
        ),
        "device_name": Explanation(
            "The tenant has a device of this name already.", "Choose another name, or delete the device that has it."
        ),
        "credential_lookup": Explanation(
            "The credential belongs to a device already.", "Give every device a token, user name or certificate of its own."
        ),
        "profile_name": Explanation("The tenant has a profile of this name already.", "Choose another name."),
        "provision_key": Explanation(
            "A profile has this provision key already.", "Choose another key, or leave it out to have one drawn."
        ),
        "token_name": Explanation(
            "The tenant has a token of this name already.", "Choose another name, or revoke the token that has it."
        ),
        "device_limit": Explanation(
            "The tenant has as many devices as it may have.",
            "Delete devices that are gone, or raise FIRSTLIGHT_DEVICE_LIMIT and restart the gateway.",
        ),
        "reference": Explanation(
            "Something that the command refers to is gone, or what it would delete is still in use; nothing was written.",
            "Look at the profile and its devices (firstlight device list --profile P), then try again.",
        ),
        "version": Explanation(
            "Others changed the same entry at the same moment, several times in a row; nothing was written.", "Try again."
        ),
    }
)
"""What checks mean to who gave a command, where that is something else than to a device, or nothing to one."""
