import errno
import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rheo_assets.platforms.local.storage import LocalStorage

DAY = "s3://lake/orders/NA/2024-01-01"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_an_object_is_a_plain_file_under_the_root(storage, tmp_path):
    storage.write(f"{DAY}/part.json", b"{}")
    assert (tmp_path / "s3/lake/orders/NA/2024-01-01/part.json").read_bytes() == b"{}"
    assert storage.read(f"{DAY}/part.json") == b"{}"
    assert storage.location(DAY) == str(tmp_path / "s3/lake/orders/NA/2024-01-01")
    assert storage.uri(storage.path(DAY)) == DAY


def test_writing_the_same_content_again_is_a_new_version(storage):
    storage.write(f"{DAY}/_SUCCESS", b"")
    first = storage.version(f"{DAY}/_SUCCESS")
    storage.write(f"{DAY}/_SUCCESS", b"")
    assert first is not None
    assert storage.version(f"{DAY}/_SUCCESS") not in {None, first}


def test_children_are_sorted_and_hidden_files_are_not_among_them(storage):
    for name in ("b", "a/x", "_SUCCESS", ".b.crc"):
        storage.write(f"{DAY}/{name}", b"")
    assert list(storage.children(DAY)) == ["_SUCCESS", "a", "b"]
    assert list(storage.children("s3://lake/nothing")) == []
    assert list(storage.children(f"{DAY}/b")) == []
    assert dict(storage.entries(DAY)) == {
        "_SUCCESS": storage.version(f"{DAY}/_SUCCESS"),
        "a": None,
        "b": storage.version(f"{DAY}/b"),
    }


def test_delete_takes_an_object_or_everything_below_a_prefix(storage, tmp_path):
    for name in ("a", "b/c", ".b.crc"):
        storage.write(f"{DAY}/{name}", b"")
    storage.delete(f"{DAY}/a")
    assert list(storage.children(DAY)) == ["b"]
    storage.delete(f"{DAY}/")
    storage.delete(DAY)
    assert not storage.path(DAY).exists()
    assert names(storage.path("s3://lake/orders/NA")) == []


def test_a_full_disk_is_said_and_leaves_the_old_content(storage, monkeypatch):
    storage.write(f"{DAY}/a", b"old")

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match=r"is full; .*orders/NA/2024-01-01/a.* free some space") as caught:
            storage.write(f"{DAY}/a", b"new")
    assert caught.value.errno == errno.ENOSPC
    assert names(storage.path(DAY)) == ["a"]
    assert storage.read(f"{DAY}/a") == b"old"


def test_a_key_that_is_both_object_and_prefix_is_refused_by_name(storage):
    storage.write(f"{DAY}/a", b"")
    with pytest.raises(OSError, match=r"a/b.*already an object"):
        storage.write(f"{DAY}/a/b", b"")
    with pytest.raises(OSError, match=r"already a prefix"):
        storage.write(DAY, b"")
    assert names(storage.path(DAY)) == ["a"]


def test_harmless_percent_signs_and_dots_are_kept_as_they_are(storage):
    for name in ("50%", "a%20b", "..hidden", "a..b", "v1.2"):
        storage.write(f"{DAY}/{name}", name.encode())
        assert storage.path(f"{DAY}/{name}").read_text() == name


def test_a_symbolic_link_that_leads_outside_is_refused(storage, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("x")
    storage.write(f"{DAY}/a", b"")
    storage.path(f"{DAY}/link").symlink_to(outside)
    storage.path(f"{DAY}/inner").symlink_to(storage.path(f"{DAY}/a"))
    for uri in (f"{DAY}/link", f"{DAY}/link/secret"):
        for verb in (storage.version, storage.read, storage.has_objects, storage.delete):
            with pytest.raises(ValueError, match="symbolic link"):
                verb(uri)
        with pytest.raises(ValueError, match="symbolic link"):
            storage.write(uri, b"")
    assert storage.read(f"{DAY}/inner") == b""
    storage.delete(DAY)
    assert (outside / "secret").exists()


def test_a_bucket_is_not_an_object(storage):
    with pytest.raises(ValueError, match="names a bucket"):
        storage.write("s3://lake", b"")
    with pytest.raises(ValueError, match="no s3:// URI"):
        storage.uri(storage.root)


HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(["..", ".", "", "/", "\\", "\0", "%2e", "%2E%2e", "%2f", "%252e", "~", "*", "a", "NA", "C:"]),
        st.text(max_size=5),
    ),
    min_size=1,
    max_size=6,
).map("/".join)


@given(key=HOSTILE)
def test_no_key_ever_leads_outside_the_root(tmp_path_factory, key):
    storage = LocalStorage(tmp_path_factory.getbasetemp() / "hostile")
    base = str(storage.root / "s3" / "lake")
    try:
        path = storage.path(f"s3://lake/{key}")
    except ValueError:
        return
    assert os.path.realpath(path) == str(path)
    assert str(path).startswith(base)
    assert ".." not in path.parts


@given(parts=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4), content=st.binary(max_size=50))
def test_what_is_written_is_read_back_and_its_uri_maps_back(tmp_path_factory, parts, content):
    storage = LocalStorage(tmp_path_factory.mktemp("round"))
    uri = "s3://lake/" + "/".join(parts)
    try:
        path = storage.path(uri)
    except ValueError:
        assume(False)
    storage.write(uri, content)
    assert storage.read(uri) == content
    assert storage.uri(path) == uri.removesuffix("/")  # a folder may be written so


def test_an_object_that_has_not_changed_is_found_as_the_very_same(storage, tmp_path_factory):
    for day in ("01", "02", "03"):
        storage.write(f"s3://lake/{day}/x/_SUCCESS", b"")
    root = storage.path("s3://lake")
    (root / "01/.hidden").mkdir()
    (root / "01/.hidden/_SUCCESS").touch()
    (root / "01/file").touch()
    (root / "01/folder/_SUCCESS").mkdir(parents=True)
    outside = tmp_path_factory.mktemp("outside")
    (outside / "_SUCCESS").touch()
    (root / "02/left").symlink_to(outside)
    (root / "02/inside").symlink_to(root / "01/x")
    first, second = (list(storage.find("s3://lake", 2, ["_SUCCESS", "_DONE"])) for _ in range(2))
    assert sorted(segments for segments, _ in first) == [
        ("01", "x", "_SUCCESS"),
        ("02", "inside", "_SUCCESS"),
        ("02", "x", "_SUCCESS"),
        ("03", "x", "_SUCCESS"),
    ]
    assert first == second
    assert sum(a is b for a, b in zip(first, second, strict=True)) == 3  # all but what is found through a link
    storage.write("s3://lake/02/x/_SUCCESS", b"again")
    storage.delete("s3://lake/01/x/_SUCCESS")
    assert sorted(segments for segments, _ in storage.find("s3://lake", 2, ["_SUCCESS"])) == [
        ("02", "x", "_SUCCESS"),
        ("03", "x", "_SUCCESS"),
    ]
    assert (
        dict(storage.find("s3://lake", 2, ["_SUCCESS"]))[("02", "x", "_SUCCESS")] != dict(first)["02", "x", "_SUCCESS"]
    )
    assert storage.version("s3://lake/02/x/_SUCCESS") in dict(storage.find("s3://lake", 2, ["_SUCCESS"])).values()
