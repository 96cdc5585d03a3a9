# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a fleet has a CA already: a corporate one with its key in a file, one
whose key is in a token, one whose certificates are issued by somebody else.

Question: does weir use each as docs/CLI.md says, refuse what is no CA or not
its key, and never put a key or a PIN where it does not belong?

Expected: exit status 0 done, 2 input or conflict, 3 environment; a failed
import leaves no folder; a key in a token stays there.
"""

import stat

import pytest

from cli_support import make, openssl, typed
from softhsm import PIN, Token

CA_EXTENSIONS = ("-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")
LEAF = "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n"


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


@pytest.fixture
def token(tmp_path, monkeypatch):
    t = Token(tmp_path / "token")
    monkeypatch.setenv("SOFTHSM2_CONF", str(t.conf))
    return t


def self_signed(folder, name, *more, subject=None, curve="P-256"):
    """A certificate and key by openssl; the names of both files."""
    crt, key = folder / f"{name}.crt", folder / f"{name}.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            f"ec_paramgen_curve:{curve}", "-nodes", "-days", "3650", "-keyout",
            key, "-out", crt, "-subj", subject or f"/O={name} Ltd/CN={name}",
            *more)
    return crt, key


def signed(folder, name, issuer, extensions, subject=None):
    """The same, issued by ISSUER, a pair that self_signed gave."""
    csr, crt, key = (folder / f"{name}.{x}" for x in ("csr", "crt", "key"))
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
            "-subj", subject or f"/O={name} Ltd/CN={name}")
    conf = folder / f"{name}.cnf"
    conf.write_text(extensions)
    openssl("x509", "-req", "-in", csr, "-CA", issuer[0], "-CAkey", issuer[1],
            "-CAcreateserial", "-days", "3000", "-out", crt, "-extfile", conf)
    return crt, key


@pytest.fixture
def corporate(tmp_path):
    return self_signed(tmp_path, "corporate", *CA_EXTENSIONS)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# ------------------------------------------------------------------- with key


def test_import(weir, corporate):
    shown = weir.json("ca", "import", "--cert", corporate[0], "--key",
                      corporate[1], "--pen", "32473")
    assert shown["name"] == "corporate Ltd" and shown["pen"] == 32473
    assert shown["key_place"] == "file" and shown["key_uri"] is None
    assert weir.json("ca", "show") == shown
    assert mode(weir.ca / "ca.key") == 0o600
    weir.ok("cert", "issue", "till-7", "--sim-in-cert")
    openssl("verify", "-CAfile", corporate[0], "-purpose", "sslclient",
            weir.folder / "till-7.crt")
    told = weir.json("cert", "show", "till-7.crt")
    assert "O=corporate Ltd" in told["subject"]
    assert told["stated"]["iccid"] == "8944010000000000017"
    weir.ok("ca", "server", "--host", "broker.example", "--out", "server")
    # The registry learns where this one's key is, as of any.
    assert "key is in:        ca.key" in weir.ok("ca", "show")


def test_import_an_intermediate(weir, corporate):
    middle = signed(weir.folder, "middle", corporate,
                    "basicConstraints=critical,CA:TRUE,pathlen:0\n"
                    "keyUsage=critical,keyCertSign\n")
    alone = weir("--ca", weir.folder / "alone", "ca", "import", "--cert",
                 middle[0], "--key", middle[1])
    assert alone.returncode == 0 and b"no root" in alone.stderr
    both = weir.folder / "both.pem"
    both.write_bytes(middle[0].read_bytes() + corporate[0].read_bytes())
    done = weir("ca", "import", "--cert", both, "--key", middle[1])
    assert done.returncode == 0 and done.stderr == b""
    weir.ok("cert", "issue", "till-7")
    # What the broker is given as cafile.
    openssl("verify", "-CAfile", weir.ca / "ca.crt", "-purpose", "sslclient",
            weir.folder / "till-7.crt")
    both.write_bytes(corporate[0].read_bytes() + middle[0].read_bytes())
    weir.fails(2, "--ca", weir.folder / "x", "ca", "import", "--cert", both,
               says="has not issued")


def test_import_never_overwrites(weir, corporate):
    weir.ok("ca", "init")
    before = (weir.ca / "ca.key").read_bytes()
    weir.fails(2, "ca", "import", "--cert", corporate[0], "--key", corporate[1],
               says="never overwritten")
    assert (weir.ca / "ca.key").read_bytes() == before


@pytest.mark.parametrize("extensions,says", [
    (("-addext", "basicConstraints=CA:FALSE"), "not a CA's certificate"),
    (("-addext", "basicConstraints=critical,CA:TRUE", "-addext",
      "keyUsage=digitalSignature"), "keyCertSign"),
    (CA_EXTENSIONS + ("-addext", "extendedKeyUsage=serverAuth"),
     "extendedKeyUsage"),
])
def test_not_a_ca(weir, extensions, says):
    crt, key = self_signed(weir.folder, "odd", *extensions)
    weir.fails(2, "ca", "import", "--cert", crt, "--key", key, says=says)
    assert not weir.ca.exists()


def test_import_refused_leaves_nothing(weir, corporate):
    other = self_signed(weir.folder, "other", *CA_EXTENSIONS)
    crt, key = corporate

    def refused(status, *args, says):
        weir.fails(status, "ca", "import", *args, says=says)
        assert not weir.ca.exists()
    refused(2, says="--cert")
    refused(2, "--cert", key, says="no certificate")
    refused(3, "--cert", "none.crt", says="none.crt")
    refused(2, "--cert", crt, "--key", other[1], says="not the key of")
    refused(3, "--cert", crt, "--key", "none.key", says="none.key")
    public = weir.folder / "public.pem"
    public.write_bytes(openssl("pkey", "-in", key, "-pubout"))
    public.chmod(0o600)
    refused(2, "--cert", crt, "--key", public, says="no unencrypted")
    key.chmod(0o644)
    refused(3, "--cert", crt, "--key", key, says="chmod 600")
    key.chmod(0o600)
    locked = weir.folder / "locked.key"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out",
            locked)
    locked.chmod(0o600)
    refused(2, "--cert", crt, "--key", locked, says="unencrypted")
    refused(2, "--cert", crt, "--pen", "x", says="--pen")
    refused(2, "--cert", crt, "--name", "a\nb", says="name")


def test_key_from_standard_input(weir, corporate):
    weir.ok("ca", "import", "--cert", corporate[0], "--key", "-",
            stdin=corporate[1].read_bytes())
    weir.ok("cert", "issue", "till-7")


# ---------------------------------------------------------------- without key


@pytest.fixture
def keyless(weir, corporate):
    weir.ok("ca", "import", "--cert", corporate[0], "--name", "Elsewhere")
    return weir


def test_no_key_here(keyless):
    shown = keyless.json("ca", "show")
    assert shown["key_place"] is None and shown["name"] == "Elsewhere"
    assert "issued elsewhere" in keyless.ok("ca", "show")
    revision = keyless.revision()
    csr = keyless.folder / "d.csr"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            keyless.folder / "d.key", "-out", csr, "-subj", "/CN=d")
    for command in (("cert", "issue", "till-7"),
                    ("cert", "sign", "till-7", "--csr", csr),
                    ("ca", "server", "--host", "broker.example")):
        keyless.fails(2, *command, says="no key here")
    assert keyless.revision() == revision
    assert not list(keyless.folder.glob("till-7.*"))


def test_add_from_the_ca_alone(keyless, corporate):
    """A CA without a key is there to say what may be added."""
    good = signed(keyless.folder, "till-7", corporate, LEAF)
    keyless.ok("cert", "add", "till-7", "--cert", good[0])
    other = self_signed(keyless.folder, "other", *CA_EXTENSIONS)
    stranger = signed(keyless.folder, "till-8", other, LEAF)
    keyless.fails(2, "cert", "add", "till-8", "--cert", stranger[0],
                  says="not from the CA 'Elsewhere'")
    assert keyless.lines("cert", "list", "till-8") == []


def test_add_by_way_of_an_intermediate(keyless, corporate):
    middle = signed(keyless.folder, "middle", corporate,
                    "basicConstraints=critical,CA:TRUE\n"
                    "keyUsage=critical,keyCertSign\n")
    leaf = signed(keyless.folder, "leaf", middle, LEAF)
    keyless.fails(2, "cert", "add", "till-7", "--cert", leaf[0],
                  says="unable to get local issuer")
    whole = keyless.folder / "whole.pem"
    whole.write_bytes(leaf[0].read_bytes() + middle[0].read_bytes())
    keyless.ok("cert", "add", "till-7", "--cert", whole)
    assert keyless.json("cert", "show", leaf[0])["credential"]["device_id"] == (
        "till-7")


def test_another_ca_beside_ours(weir, corporate):
    """A CA with its key here: others are taken, with a warning, but none that
    bears its name."""
    weir.ok("ca", "init", "--name", "Ours")
    stranger = signed(weir.folder, "stranger", corporate, LEAF)
    done = weir("cert", "add", "till-7", "--cert", stranger[0])
    assert done.returncode == 0
    assert b"not from the CA 'Ours'" in done.stderr
    fake = self_signed(weir.folder, "fake", *CA_EXTENSIONS,
                       subject="/O=Ours/CN=Ours CA")
    forged = signed(weir.folder, "forged", fake, LEAF)
    weir.fails(2, "cert", "add", "till-8", "--cert", forged[0],
               says="not from the CA 'Ours'")
    assert weir.lines("cert", "list", "till-8") == []


def test_add_beside_a_ca_that_is_damaged(weir, corporate):
    """A check that cannot be made is not passed over."""
    weir.ok("ca", "init")
    leaf = signed(weir.folder, "leaf", corporate, LEAF)
    (weir.ca / "ca.json").write_text("{}")
    weir.fails(2, "cert", "add", "till-7", "--cert", leaf[0],
               says="not a CA's settings")
    (weir.ca / "ca.crt").write_text("")
    weir.fails(2, "cert", "add", "till-7", "--cert", leaf[0], says="ca.crt")
    assert weir.lines("cert", "list", "till-7") == []
    (weir.ca / "ca.crt").unlink()
    weir.ok("cert", "add", "till-7", "--cert", leaf[0])


# --------------------------------------------------------------- key in a token


@pytest.mark.parametrize("kind", [
    (), ("ecdsa", "--curve", "secp384r1"), ("rsa", "--bits", "2048")])
def test_token(weir, token, kind):
    token.make_key("ca", *kind)
    shown = weir.json("ca", "init", "--name", "HSM", "--key", token.uri("ca"))
    assert shown["key_place"] == "token"
    assert shown["key_uri"] == token.uri("ca")
    assert not (weir.ca / "ca.key").exists()
    weir.ok("cert", "issue", "till-7")
    weir.ok("ca", "server", "--host", "broker.example", "--out", "server")
    openssl("verify", "-CAfile", weir.ca / "ca.crt", "-purpose", "sslclient",
            "-x509_strict", weir.folder / "till-7.crt")
    # To look at the CA nobody needs the token.
    token.pin.unlink()
    assert weir.json("ca", "show") == shown


def test_import_with_a_token(weir, token, corporate):
    token.run("softhsm2-util", "--import", corporate[1], "--token", "fleet",
              "--label", "corporate", "--id", "02", "--pin", PIN)
    token.make_key("other")
    weir.fails(2, "ca", "import", "--cert", corporate[0], "--key",
               token.uri("other"), says="not the key of")
    assert not weir.ca.exists()
    shown = weir.json("ca", "import", "--cert", corporate[0], "--key",
                      token.uri("corporate"))
    assert shown["key_place"] == "token"
    weir.ok("cert", "issue", "till-7")
    openssl("verify", "-CAfile", corporate[0], weir.folder / "till-7.crt")


def test_pin(weir, token, monkeypatch):
    token.make_key("ca")
    bare = token.uri("ca", pin=False)
    # No terminal: start_new_session leaves the one of whoever runs this.
    weir.fails(2, "ca", "init", "--key", bare, says="WEIR_CA_PIN",
               start_new_session=True)
    weir.fails(2, "ca", "init", "--key", bare + "&pin-value=" + PIN,
               says="no PIN in a URI")
    monkeypatch.setenv("WEIR_CA_PIN", "11111")
    said = weir.fails(3, "ca", "init", "--key", bare, says="PIN incorrect")
    assert "11111" not in said
    assert not weir.ca.exists()
    monkeypatch.setenv("WEIR_CA_PIN", PIN)
    weir.ok("ca", "init", "--key", bare)
    weir.ok("cert", "issue", "till-7")
    monkeypatch.delenv("WEIR_CA_PIN")
    revision = weir.revision()
    weir.fails(2, "cert", "issue", "till-8", says="WEIR_CA_PIN",
               start_new_session=True)
    assert weir.revision() == revision
    token.pin.chmod(0o640)
    weir.fails(3, "--ca", weir.folder / "x", "ca", "init", "--key",
               token.uri("ca"), says="0640")
    for path in (weir.ca / "ca.json", weir.folder / "state" / "registry.db"):
        assert PIN.encode() not in path.read_bytes()


def test_pin_typed(weir, token):
    token.make_key("ca")
    bare = token.uri("ca", pin=False)
    status, shown = typed(weir, "11111\n", "ca", "init", "--key", bare)
    assert status == 3 and "PIN incorrect" in shown
    assert not weir.ca.exists()
    status, shown = typed(weir, PIN + "\n", "ca", "init", "--key", bare)
    assert status == 0 and shown.startswith("PIN for pkcs11:token=fleet")
    # Not even the one who looks over the shoulder.
    assert PIN not in shown
    status, shown = typed(weir, "\x04", "cert", "issue", "till-7")
    assert status == 2 and "no PIN was given" in shown


def test_token_refused(weir, token):
    token.make_key("ca")
    token.make_key("weak", "rsa", "--bits", "1024")

    def refused(status, uri, says, *more):
        weir.fails(status, "ca", "init", "--key", uri, *more, says=says)
        assert not weir.ca.exists()
    refused(3, token.uri("none"), "does not open the key")
    refused(2, token.uri("weak"), "RSA 1024")
    refused(2, "pkcs11:token=fleet", "which key")
    refused(2, str(token.pin), "not the URI")
    refused(2, token.uri("ca"), "--key-type", "--key-type", "p384")
    # A token that is gone is no reason to lock the registry, or to break it.
    weir.ok("ca", "init", "--key", token.uri("ca"))
    token.conf.write_text("directories.tokendir = /nonexistent\n")
    revision = weir.revision()
    weir.fails(3, "cert", "issue", "till-7", says="does not open the key")
    assert weir.revision() == revision
    assert not list(weir.folder.glob("till-7.*"))


# ------------------------------------------------------------------ key types


@pytest.mark.parametrize("name,key", [
    ("p256", "EC P-256"), ("p384", "EC P-384"), ("rsa2048", "RSA 2048"),
    ("rsa3072", "RSA 3072")])
def test_key_type(weir, name, key):
    assert weir.json("ca", "init", "--key-type", name)["key"] == key
    weir.ok("cert", "issue", "till-7", "--key-type", name)
    assert weir.json("cert", "show", "till-7.crt")["key"] == key
    assert mode(weir.folder / "till-7.key") == 0o600
    weir.ok("ca", "server", "--host", "h.example", "--key-type", name)
    assert weir.json("cert", "show", weir.ca / "server.crt")["key"] == key


def test_key_type_refused(weir):
    weir.ok("ca", "init")
    for command in (("--ca", weir.folder / "x", "ca", "init"),
                    ("cert", "issue", "till-7"),
                    ("ca", "server", "--host", "h.example")):
        for name in ("rsa1024", "P256", "ed25519", ""):
            weir.fails(2, *command, "--key-type", name, says="p256 p384")
    assert not (weir.folder / "x").exists()
    assert not list(weir.folder.glob("till-7.*"))
