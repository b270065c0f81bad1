"""As much of X.509 as the referee needs: serial, dates, names, issuer's key."""

import base64
import calendar
import re
import ssl
import time
from dataclasses import dataclass

SAN = bytes.fromhex("0603551d11")
AKI = bytes.fromhex("0603551d23")


@dataclass(frozen=True)
class Leaf:
    serial: str  # upper hex, as TLS clients show it
    not_before: float
    not_after: float
    names: tuple
    aki: bytes

    @property
    def lifetime(self):
        return self.not_after - self.not_before

    @property
    def certid(self):
        """RFC 9773 section 4.1."""
        number = int(self.serial, 16)
        raw = number.to_bytes(number.bit_length() // 8 + 1, "big")
        return f"{b64(self.aki)}.{b64(raw)}"


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def take(der, at):
    """Tag, contents and the place after the value at at."""
    tag, size, at = der[at], der[at + 1], at + 2
    if size & 0x80:
        n = size & 0x7F
        size, at = int.from_bytes(der[at:at + n], "big"), at + n
    return tag, der[at:at + size], at + size


def values(der):
    at = 0
    while at < len(der):
        tag, value, at = take(der, at)
        yield tag, value


def moment(tag, text):
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
    return calendar.timegm(time.strptime(text.decode(), form))


def extension(tbs, oid):
    """The contents of an extension's OCTET STRING, or b""."""
    at = tbs.find(oid)
    if at < 0:
        return b""
    at += len(oid)
    tag, value, at = take(tbs, at)
    if tag == 0x01:  # critical
        tag, value, at = take(tbs, at)
    return value


def leaf_of(pem):
    """The first certificate of a chain."""
    first = re.search(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE"
                      rb"-----", pem, re.S)
    der = ssl.PEM_cert_to_DER_cert(first.group().decode())
    _, certificate, _ = take(der, 0)
    _, tbs, _ = take(certificate, 0)
    fields = list(values(tbs))
    if fields[0][0] == 0xA0:
        fields = fields[1:]
    serial = fields[0][1].lstrip(b"\0")
    dates = list(values(fields[3][1]))
    _, names, _ = take(extension(tbs, SAN), 0)
    aki = extension(tbs, AKI)
    return Leaf(
        serial=serial.hex().upper(),
        not_before=moment(*dates[0]), not_after=moment(*dates[1]),
        names=tuple(v.decode() for t, v in values(names) if t == 0x82),
        aki=next((v for t, v in values(take(aki, 0)[1]) if t == 0x80), b"")
        if aki else b"")
