"""Is a directory on a network file system?

SQLite's log does not work over a network, and there a lock may be held by two hosts at once, so a
spool on such a disk could lose what it accepted without anybody noticing.
"""

import os
import re
from pathlib import Path

from al_framework.api import SpoolError

_NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
_MOUNTS = Path("/proc/self/mountinfo")


def refuse_network_disk(directory: Path, *, mounts: Path = _MOUNTS) -> None:
    """Refuse a directory on a network file system; where mounts cannot be listed, believe it.

    Args:
        directory: An existing directory.
        mounts: The list of mounts, as Linux gives it.

    Raises:
        SpoolError: It is on one.
    """
    kind = file_system(directory, mounts)
    if kind in _NETWORK:
        raise SpoolError(
            f"spool '{directory}': it lies on a network file system ({kind}), whose locks and syncs"
            " do not keep what they promise; use a local disk, or set allow_network_disk if you"
            " know that one host alone uses it"
        )


def file_system(directory: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the file system that a directory lies on; None where nobody tells."""
    try:
        text = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    place = Path(os.path.realpath(directory))
    best, found = -1, None
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        columns, kind = fields.split(), rest.split()
        if len(columns) < 5 or not kind:  # the fifth column is the mount point
            continue
        point = Path(_unescaped(columns[4]))
        depth = len(point.parts)
        # The last of equal ones lies on top of the others.
        if place.is_relative_to(point) and depth >= best:
            best, found = depth, kind[0]
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
