"""RSA for the service account: keys by openssl, signatures checked by hand."""

import base64
import hashlib
import os
import subprocess

from harness import program, run

# DigestInfo of SHA-256 (RFC 8017, 9.2).
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
_E = 65537


def new_key():
    """(PKCS#8 PEM, modulus): the private key is in no file."""
    pem = run(program("openssl"), "genpkey", "-quiet", "-algorithm", "RSA",
              "-pkeyopt", "rsa_keygen_bits:2048",
              stderr=subprocess.DEVNULL).stdout
    modulus = run(program("openssl"), "rsa", "-noout", "-modulus",
                  input=pem, stderr=subprocess.DEVNULL).stdout
    return pem, int(modulus.strip().removeprefix("Modulus="), 16)


def verified(modulus, signature, message):
    """Is it RSASSA-PKCS1-v1_5 with SHA-256 of the message?"""
    size = (modulus.bit_length() + 7) // 8
    if len(signature) != size:
        return False
    found = pow(int.from_bytes(signature, "big"), _E, modulus)
    tail = b"\0" + _SHA256 + hashlib.sha256(message).digest()
    wanted = b"\0\1" + b"\xff" * (size - 2 - len(tail)) + tail
    return found.to_bytes(size, "big") == wanted


def sign(pem, message):
    """For clients; the key goes by a pipe."""
    out, into = os.pipe()
    with os.fdopen(into, "w") as f:
        f.write(pem)
    try:
        return subprocess.run(
            [program("openssl"), "dgst", "-sha256", "-sign", f"/dev/fd/{out}"],
            input=message, pass_fds=(out,), check=True,
            stdout=subprocess.PIPE).stdout
    finally:
        os.close(out)


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
