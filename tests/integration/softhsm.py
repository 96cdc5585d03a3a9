# SPDX-License-Identifier: Apache-2.0
"""A PKCS #11 token for the tests: SoftHSM, in a folder of its own."""

import os
import subprocess

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "864213579"
"""Nine digits, so that a search for them finds nothing else."""


class Token:
    """Keys are made inside it, and never come out."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "tokens").mkdir(parents=True)
        self.conf = folder / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {folder / 'tokens'}\n"
                             "log.level = ERROR\n")
        self.pin = folder / "pin"
        self.pin.write_text(PIN + "\n")
        self.pin.chmod(0o600)
        self.run("softhsm2-util", "--init-token", "--free", "--label", "fleet",
                 "--so-pin", "12345678", "--pin", PIN)

    def run(self, *args):
        done = subprocess.run(
            [*map(str, args)], capture_output=True, timeout=60, check=False,
            env=dict(os.environ, SOFTHSM2_CONF=str(self.conf)))
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done.stdout

    def make_key(self, label, *kind):
        self.run("p11tool", "--provider", MODULE, "--login", "--set-pin", PIN,
                 "--generate-privkey", *(kind or ("ecdsa", "--curve",
                                                  "secp256r1")),
                 "--label", label, "pkcs11:token=fleet")

    def uri(self, label, pin=True):
        source = f"pin-source=file:{self.pin}&" if pin else ""
        return f"pkcs11:token=fleet;object={label}?{source}module-path={MODULE}"
