"""What a device is given: the service's unit, and the files of a first boot.

The templates are ``targets/common/*.template``. Every value is checked against what it may be and
then quoted for the language of its file, so that none can become anything else than a value.
"""

import hashlib
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_fer.errors import EdgeFerError
from edge_fer.provision_quote import quote_shell, quote_systemd, quote_yaml
from edge_fer.resources import find_resource
from edge_fer.target import Target

PREFIX = "/opt/edge-fer"
SERVICE_USER = "edge-fer"
#: Where a card's FAT partition is mounted, and the release in its folder ``edge-fer``.
BOOT = "/boot/firmware"
NO_PASSWORD = "*"


class _Template(string.Template):
    delimiter = "@"


#: What is rendered: its template and its language.
TEMPLATES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "edge-fer.service": ("service", quote_systemd),
    "edge-fer-install.service": ("install-service", quote_systemd),
    "user-data": ("user-data", quote_yaml),
    "network-config": ("network-config", quote_yaml),
    "network-config-wired": ("network-config-wired", quote_yaml),
    "meta-data": ("meta-data", quote_yaml),
    "firstrun.sh": ("firstrun", quote_shell),
}
_TEXT = r"[^\0\ud800-\udfff]*"
_PATH = r"(/[A-Za-z0-9._+-]+)+"
_GROUP = r"[a-z_][a-z0-9_-]{0,31}"
_DEVICE = r"(char-[a-z0-9_*-]+|/dev(/[A-Za-z0-9._*-]+)+)"
#: What each value may be, and how to say so; of lists, each part.
_VALUES: dict[str, tuple[str, str]] = {
    "arguments": (_TEXT, "text without NUL"),
    "boot": (_PATH, "an absolute path of plain characters"),
    "device_policy": ("auto|closed", "auto or closed"),
    "device_rules": (rf"(DeviceAllow={_DEVICE} rw(\n|\Z))*", "DeviceAllow lines"),
    "groups": (_GROUP, "names of groups"),
    "hostname": (r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", "letters, digits and -, 1 to 63"),
    "install_unit": (_TEXT, "text without NUL"),
    "instance_id": (r"[A-Za-z0-9-]{1,64}", "letters, digits and -"),
    "password_hash": (r"\*|\$[A-Za-z0-9./$=,_-]+", "the crypt hash of a password, or *"),
    "prefix": (_PATH, "an absolute path of plain characters"),
    "ssh_keys": (
        r"(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\x00-\x1f\x7f\ud800-\udfff]*)?",
        "the one line of a .pub file",
    ),
    "timezone": (r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "e.g. Europe/Vienna"),
    "user": (r"(?!root\Z)[a-z_][a-z0-9_-]{0,31}", "lower-case letters, digits, - and _; not root"),
    "wifi_country": (r"[A-Z]{2}|", "two capitals, e.g. AT"),
    "wifi_key": (r"[0-9a-f]{64}|", "64 hex digits, as wifi_key makes them"),
    "wifi_ssid": (r"[^\x00-\x1f\x7f\ud800-\udfff]*", "text of 32 bytes at most"),
}
_LISTS = ("arguments", "groups", "ssh_keys")
_FLAGS = ("private_tmp", "password_locked", "password_login", "wifi_hidden")
_SSID_BYTES = 32
#: Their values are the file's own language already, as their patterns make sure.
_VERBATIM = ("device_rules",)
#: What Raspberry Pi OS 12 would read as something else in the name of a network.
_MISREAD_SSID = re.compile(r"[-\s].*|.*[\\;].*|.*\s")


@dataclass(frozen=True, kw_only=True)
class FirstBoot:
    """What a card's first boot sets up.

    Attributes:
        hostname: Of the device.
        user: Who logs in and may use sudo without a password.
        instance_id: New for every card, so that cloud-init acts.
        ssh_keys: Lines of ``.pub`` files.
        password_hash: Crypt hash; ``*`` for none.
        timezone: As in ``/usr/share/zoneinfo``.
        wifi_ssid: Name of the network; empty for none.
        wifi_key: What ``wifi_key`` returns.
        wifi_country: Two capitals.
        wifi_hidden: The network does not tell its name.
        signers: Text of ``/etc/edge-fer/allowed_signers``; empty: none, also unsigned releases are
            taken.
    """

    hostname: str
    user: str
    instance_id: str
    ssh_keys: Sequence[str] = ()
    password_hash: str = NO_PASSWORD
    timezone: str = "Etc/UTC"
    wifi_ssid: str = ""
    wifi_key: str = ""
    wifi_country: str = ""
    wifi_hidden: bool = False
    signers: str = ""


def render(name: str, values: Mapping[str, Any]) -> str:
    """Fills a template in.

    Args:
        name: Key of ``TEMPLATES``.
        values: Of exactly the template's placeholders.

    Raises:
        EdgeFerError: An unknown name, a value too many or too few, or one that must not be.
    """
    if name not in TEMPLATES:
        raise EdgeFerError(f"no template {name!r}; there are {', '.join(TEMPLATES)}")
    resource, quote = TEMPLATES[name]
    template = _Template(find_resource("template", resource).read_text(encoding="utf-8"))
    _check_names(name, placeholders(template.template), set(values))
    for key, value in values.items():
        _check_value(name, key, value)
    texts = {k: v if k in _VERBATIM else quote(v) for k, v in values.items()}
    return template.substitute(texts)


def placeholders(text: str) -> set[str]:
    """Returns the names of a template's placeholders."""
    found = _Template.pattern.finditer(text)
    return {match["named"] or match["braced"] for match in found if not match["escaped"]}


def service_unit(
    target: Target,
    arguments: Sequence[str],
    *,
    groups: Sequence[str] = (),
    prefix: str = PREFIX,
    user: str = SERVICE_USER,
) -> str:
    """Returns ``edge-fer.service``.

    Args:
        target: The device.
        arguments: Of ``edge-fer run``.
        groups: Only such as exist on the device: systemd starts no service with another.
        prefix: Where releases are.
        user: Who runs it.

    Raises:
        EdgeFerError: A value that must not be.
    """
    rules = [f"DeviceAllow={device} rw" for device in target.devices]
    values = {
        "arguments": list(arguments),
        "device_policy": "closed" if rules else "auto",
        "device_rules": "\n".join(rules),
        "groups": list(groups),
        "prefix": prefix,
        "private_tmp": target.private_tmp,
        "user": user,
    }
    return render("edge-fer.service", values)


def cloud_init_files(boot: FirstBoot) -> dict[str, str]:
    """Returns the texts of ``user-data``, ``network-config`` and ``meta-data``.

    Raises:
        EdgeFerError: A value that must not be.
    """
    account = {
        **_account(boot),
        "password_locked": boot.password_hash == NO_PASSWORD,
    }
    network = (
        render("network-config", _wifi(boot))
        if boot.wifi_ssid
        else render("network-config-wired", {})
    )
    identity = {"instance_id": boot.instance_id, "hostname": boot.hostname}
    return {
        "user-data": render("user-data", account),
        "network-config": network,
        "meta-data": render("meta-data", identity),
    }


def firstrun_script(boot: FirstBoot) -> str:
    """Returns the text of ``firstrun.sh``.

    Raises:
        EdgeFerError: A value that must not be.
    """
    if _MISREAD_SSID.fullmatch(boot.wifi_ssid):
        raise EdgeFerError(
            f"Wi-Fi {boot.wifi_ssid!r}: Raspberry Pi OS 12 would misread that name (- or a space "
            "at its ends, ; or \\); use Raspberry Pi OS 13 or another network"
        )
    return render("firstrun.sh", {**_account(boot), **_wifi(boot)})


def wifi_key(ssid: str, passphrase: str) -> str:
    """Returns the WPA2 key of a network: the passphrase itself then need not be kept.

    Raises:
        EdgeFerError: Not a WPA2 passphrase.
    """
    if not re.fullmatch(r"[\x20-\x7e]{8,63}", passphrase):
        raise EdgeFerError("the Wi-Fi passphrase must have 8 to 63 ASCII characters")
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), 4096, 32).hex()


def _account(boot: FirstBoot) -> dict[str, Any]:
    return {
        "hostname": boot.hostname,
        "user": boot.user,
        "ssh_keys": list(boot.ssh_keys),
        "password_hash": boot.password_hash,
        "password_login": boot.password_hash != NO_PASSWORD,
        "timezone": boot.timezone,
        "install_unit": render("edge-fer-install.service", {"boot": BOOT}),
    }


def _wifi(boot: FirstBoot) -> dict[str, Any]:
    if boot.wifi_ssid and not (boot.wifi_key and boot.wifi_country):
        raise EdgeFerError(f"Wi-Fi {boot.wifi_ssid!r} needs a passphrase and a country, e.g. AT")
    names = ("wifi_ssid", "wifi_key", "wifi_country", "wifi_hidden")
    return {name: getattr(boot, name) for name in names}


def _check_names(name: str, wanted: set[str], given: set[str]) -> None:
    missing, unknown = sorted(wanted - given), sorted(given - wanted)
    if missing:
        raise EdgeFerError(f"{name}: no value for {', '.join(missing)}")
    if unknown:
        raise EdgeFerError(f"{name}: has no {', '.join(unknown)}")


def _check_value(name: str, key: str, value: Any) -> None:
    """Raises ``EdgeFerError``; the message does not repeat the value, which may be a secret."""
    if key in _FLAGS:
        good, says = isinstance(value, bool), "true or false"
    elif key in _LISTS:
        says = f"a list of {_VALUES[key][1]}"
        good = isinstance(value, list) and all(_may_be(key, one) for one in value)
    else:
        good, says = _may_be(key, value), _VALUES[key][1]
    if not good:
        raise EdgeFerError(f"{name}: {key} must be {says}")


def _may_be(key: str, value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(_VALUES[key][0], value):
        return False
    return key != "wifi_ssid" or len(value.encode()) <= _SSID_BYTES
