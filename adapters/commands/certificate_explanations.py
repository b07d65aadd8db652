"""What each check that can refuse a device's certificate, or the chain behind it, means for the operator, and what to do."""

from types import MappingProxyType
from typing import Final

from adapters.commands.explanation import Explanation

_RENEW: Final = "Give the device a new certificate; compare the clock of this gateway as well."
_LAX: Final = "If that has to be, as such certificates are out in the field already, a profile may be lax about it."
_REISSUE: Final = f"Have the authority issue certificates that follow RFC 5280. {_LAX}"

CERTIFICATES: Final = MappingProxyType(
    {
        "certificate.unknown": Explanation(
            "No device has this certificate for a credential. It came alone, and no profile has its issuer's certificate.",
            "Add it to the device's credentials, or have the firmware send those between it and the profile's as well.",
        ),
        "certificate.expired": Explanation("The time of the device's certificate is over.", _RENEW),
        "certificate.early": Explanation("The time of the device's certificate has not begun.", _RENEW),
        "certificate.revoked": Explanation(
            "The certificate was made by this gateway for the device, and was revoked or gave way to newer ones since.",
            "If the device is to come back, give it a new certificate; if it has one, find out who has the old one's key.",
        ),
        "chain.size": Explanation(
            "The device sent no certificate, more than 8 of them, or one of more than 16 KiB.",
            "Have the firmware send its own certificate and those above it up to the profile's, and nothing else.",
        ),
        "chain.certificate": Explanation(
            "What the device sent cannot be read as certificates.", "Look at its files with: openssl x509 -text -in FILE."
        ),
        "chain.signature": Explanation(
            "A certificate is not signed by the one sent after it, or by the profile's, which has the name of its issuer.",
            "Have the firmware send its certificate first, then its issuer's, and so on. If the authority has a new key since, "
            "give its new certificate a profile. Otherwise it is a forgery.",
        ),
        "chain.device": Explanation(
            "The device's certificate is signed with a certificate that is another device's credential.",
            "Devices do not sign certificates: this one is forged, or a profile's authority was given to a device by mistake.",
        ),
        "chain.anchor": Explanation(
            "No profile with the strategy certificate_chain has a certificate of the chain, or that of its last one's issuer.",
            "Compare the issuers with the profile's certificate (firstlight profile show NAME); those up to it must be sent.",
        ),
        "chain.authorities": Explanation(
            "The last certificate sent is not a profile's, and more than 8 profiles' different ones have its issuer's name.",
            "Have the firmware send its issuer's certificate as well, or take away profiles of authorities that are over.",
        ),
        "chain.expired": Explanation("The time of the device's certificate, or of an authority's above it, is over.", _RENEW),
        "chain.early": Explanation(
            "The time of the device's certificate, or of an authority's above it, has not begun.", _RENEW
        ),
        "chain.leaf": Explanation(
            "The device came with an authority's certificate instead of one of its own.",
            "Issue it a certificate of its own; an authority's key has no place on a device.",
        ),
        "chain.usage": Explanation("The device's certificate is not for TLS clients (key usage).", _REISSUE),
        "chain.authority": Explanation(
            "A certificate in the chain signed another and is no authority's (CA flag, key usage): maybe a device's.",
            _REISSUE,
        ),
        "chain.path_length": Explanation("An authority has more authorities below it than it may have.", _REISSUE),
        "chain.key": Explanation(
            "A key is too short, too slow, or of another kind than RSA (2048 to 8192 bits), P-256, P-384 and P-521.",
            _REISSUE,
        ),
        "chain.digest": Explanation("A certificate is signed over a weak digest; SHA-256 and longer are taken.", _REISSUE),
        "chain.invalid": Explanation(
            "A certificate has a name that its authority may not give, an unknown critical part, or an old X.509 version.",
            _REISSUE,
        ),
        "chain.name": Explanation(
            "No profile's pattern finds a device name in the common name of the device's certificate.",
            "Compare the pattern with the certificate: its first group is the name. Beyond 255 characters nothing is sought.",
        ),
        "chain.superseded": Explanation(
            "The device came with a certificate that was made before the one it has now.",
            "Give the device the newer one, or a new one.",
        ),
        "chain.ambiguous": Explanation(
            "Several profiles wait for this chain, their patterns fit, and none alone has the device or could make it.",
            "Write patterns that do not overlap, or define the device in the profile that is meant.",
        ),
        "device.no_certificate": Explanation(
            "The device exists in the chain's profile, with credentials of another kind: these are left alone.",
            "Give it a certificate for a credential, which the one that it came with replaces then.",
        ),
        "profile.chain": Explanation(
            "Key and secret are right, but devices of this profile come with a chain of certificates.",
            "Have the firmware connect by TLS with its certificate, or give it another profile's key and secret.",
        ),
        "profile.no_chain": Explanation(
            "The profile was changed at this moment, and its devices do not come with a chain of certificates any more.",
            "Nothing to do if that was meant.",
        ),
        "login.proven": Explanation(
            "The key that the device proved in its handshake was taken from it at this moment.",
            "Nothing to do if that was meant; otherwise look at the device's credentials (firstlight device show NAME).",
        ),
    }
)
