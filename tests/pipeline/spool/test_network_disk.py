import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.spool import SpoolLimits
from al_framework.pipeline.spool import network_disk as module

LOCAL = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"


@pytest.fixture
def mounts(tmp_path):
    def write(text):
        path = tmp_path / "mountinfo"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path, mounts, kind):
    place = tmp_path / "share" / "spool"
    place.mkdir(parents=True)
    text = f"{LOCAL}23 22 0:50 / {tmp_path}/share rw - {kind} host:/export rw\n"

    with pytest.raises(
        SpoolError,
        match=rf"^spool '.*/share/spool': it lies on a network file system \({kind}\), whose locks"
        " and syncs do not keep what they promise; use a local disk, or set allow_network_disk if"
        " you know that one host alone uses it$",
    ):
        module.refuse_network_disk(place, mounts=mounts(text))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (LOCAL, "ext4"),
        (f"{LOCAL}23 22 0:50 / {{0}}/share rw - nfs a:/b rw\n", "ext4"),  # beside it
        (f"{LOCAL}23 22 0:50 / {{0}} rw - nfs a:/b rw\n24 22 0:51 / {{0}} rw - xfs b rw\n", "xfs"),
        (f"23 22 0:50 / {{0}}/with\\040blank rw - nfs a:/b rw\n{LOCAL}", "nfs"),
        ("", None),
        ("nonsense\n1 2 - \n", None),
    ],
)
def test_the_mount_below_which_a_directory_lies_tells(tmp_path, mounts, text, kind):
    place = tmp_path / "with blank"
    place.mkdir()

    assert kind == module.file_system(place, mounts(text.format(tmp_path)))


def test_where_mounts_cannot_be_listed_a_directory_is_believed(tmp_path):
    assert module.file_system(tmp_path, tmp_path / "missing") is None
    module.refuse_network_disk(tmp_path, mounts=tmp_path / "missing")


def test_a_spool_on_one_opens_only_if_allowed(make_spool, monkeypatch):
    monkeypatch.setattr(module, "file_system", lambda *_: "nfs4")
    with pytest.raises(SpoolError, match="it lies on a network file system"):
        make_spool()

    make_spool(limits=SpoolLimits(min_free_bytes=0, allow_network_disk=True))
