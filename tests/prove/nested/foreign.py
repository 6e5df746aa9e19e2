"""An image as if for another processor: `python3 foreign.py FROM TO`, both as `docker save` writes them."""

import hashlib
import io
import json
import sys
import tarfile

PROCESSOR = "riscv64"
INDEXES = {"manifest.json", "repositories", "index.json", "oci-layout"}


def foreign(source: str, to: str) -> None:
    """The same layers under a configuration that names another processor."""
    with tarfile.open(source) as whole, tarfile.open(to, "w") as made:

        def read(name: str) -> bytes:
            file = whole.extractfile(name)
            assert file is not None
            return file.read()

        [manifest] = json.loads(read("manifest.json"))
        old, config = manifest["Config"], json.loads(read(manifest["Config"]))
        text = json.dumps({**config, "architecture": PROCESSOR}).encode()
        new = f"{hashlib.sha256(text).hexdigest()}.json"
        for member in whole:
            if member.isfile() and member.name not in INDEXES | {old}:
                made.addfile(member, whole.extractfile(member))
        for name, content in ((new, text), ("manifest.json", json.dumps([{**manifest, "Config": new}]).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    foreign(*sys.argv[1:3])
