"""What an engine builds an image from."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def pack_context(files: Mapping[str, bytes]) -> io.BytesIO:
    """These files, by their paths in it; the same bytes for the same files, so that layers are found in the cache."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in sorted(files.items()):
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    packed.seek(0)
    return packed
