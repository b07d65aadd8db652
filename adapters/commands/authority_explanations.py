"""What each check that can refuse a device a certificate of this gateway's means for the operator, and what to do about it."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_LOG: Final = "The gateway's log says what it answered."
_AGAIN: Final = "It may come again; if this goes on, slow the devices down or raise the bound named in firstlight check."

AUTHORITY: Final = MappingProxyType(
    {
        "issuing.off": Explanation(
            "The device asked for a certificate, and its profile issues none.",
            "If it should, say how long certificates are good (firstlight profile change NAME --help).",
        ),
        "issuing.no_authority": Explanation(
            "A certificate was asked for, and this gateway has no certificate authority.",
            "Set FIRSTLIGHT_CA_CERT and one of FIRSTLIGHT_CA_KEY, FIRSTLIGHT_CA_COMMAND and FIRSTLIGHT_CA_URL.",
        ),
        "issuing.key_pairs": Explanation(
            "The device asked for a key pair, which its profile does not allow: devices make their own and send a request.",
            "Have the firmware make a key and send a PKCS#10 request, or allow key pairs in the profile.",
        ),
        "issuing.key_algorithm": Explanation(
            "The device asked for a key pair of a kind that is not made here.",
            "Have the firmware ask for ec-p256, rsa-2048 or rsa-3072.",
        ),
        "issuing.room": Explanation(
            "The device has as many credentials that are good at once as it may have, and none of them was made here.",
            "Revoke one first: firstlight device credential revoke NAME ID.",
        ),
        "issuing.request": Explanation(
            "What the device sent is no certificate request that can be signed; the event says why.",
            "Look at it with: openssl req -verify -text -noout -in FILE.",
        ),
        "issuing.authority": Explanation(
            "The certificate authority behind FIRSTLIGHT_CA_COMMAND or FIRSTLIGHT_CA_URL gave no certificate.",
            f"{_LOG} Devices come again by themselves.",
        ),
        "issuing.authority_refused": Explanation(
            "The certificate authority behind FIRSTLIGHT_CA_URL does not sign this device's request.",
            f"{_LOG} Compare its rules with the request: openssl req -text -noout -in FILE.",
        ),
        "issuing.answer": Explanation(
            "The certificate authority answered something else than was asked for: another key or name, a certificate that is"
            " not good now, or one that does not come to FIRSTLIGHT_CA_CERT.",
            "An authority that copies names from requests needs requests with the device's name as their common name.",
        ),
        "issuing.authority_over": Explanation(
            "The time of the certificate authority's own certificate is over.",
            "Renew it and put it where FIRSTLIGHT_CA_CERT says; compare the clock of this gateway as well.",
        ),
        "issuing.busy": Explanation("More certificates are being signed than FIRSTLIGHT_CA_AT_ONCE allows.", _AGAIN),
        "issuing.keys_pending": Explanation("More key pairs are being made than FIRSTLIGHT_CA_KEY_PAIRS allows.", _AGAIN),
        "issuing.no_crl": Explanation(
            "Somebody asked for the list of revoked certificates, which this gateway does not sign.",
            "Ask the authority behind FIRSTLIGHT_CA_COMMAND or FIRSTLIGHT_CA_URL for its own; logins do not need it.",
        ),
        "issuing.crl_size": Explanation(
            "More certificates are revoked than FIRSTLIGHT_CA_CRL_ENTRIES allows; a list that is not whole is not given.",
            "Raise the bound, or issue certificates for a shorter time: those that are over are on no list.",
        ),
        "issuing.crl_busy": Explanation("The list of revoked certificates is being signed for others.", _AGAIN),
        "limit.signing_source": Explanation(
            "This source address asked for certificates more often than FIRSTLIGHT_LIMIT_SOURCE allows.",
            "Behind one NAT many devices share an address: raise the limit. Otherwise find out who is asking so often.",
        ),
        "limit.signing_device": Explanation(
            "The device asked for certificates more often than FIRSTLIGHT_LIMIT_SIGNING allows.",
            "A device asks once before its certificate ends: look for a fault in its firmware, such as never storing it.",
        ),
    }
)

AUTHORITY_COMMANDS: Final = MappingProxyType(
    {
        "certificate_serial": Explanation(
            "The certificate authority gave two certificates the same serial number.",
            "Have it draw serial numbers at random, as RFC 5280 and browsers ask of authorities.",
        ),
    }
)
