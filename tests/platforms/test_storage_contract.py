"""What every storage does: the same tests over the folder of a laptop and over S3."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from moto import mock_aws

from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import external_node
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.platforms.data.partition_folder import announcements, partition_folder
from rheo_assets.platforms.local.storage import LocalStorage

DAY = "s3://lake/orders/NA/2024-01-01"
LAKE = "s3://lake/orders"


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "local":
        yield LocalStorage(tmp_path)
        return
    with mock_aws():
        clients = Clients("us-east-1")
        clients.client("s3").create_bucket(Bucket="lake")
        yield S3Storage(clients)


def write(storage: Storage, folder: str, *names: str) -> None:
    for name in names:
        storage.write(f"{folder}/{name}", name.encode())


def below(storage: Storage, folder: str) -> dict[str, bytes]:
    """Every object below a folder that is not hidden, by its path."""
    found: dict[str, bytes] = {}
    for name in storage.children(folder):
        uri = f"{folder}/{name}"
        if storage.version(uri) is not None:
            found[name] = storage.read(uri)
        found |= {f"{name}/{path}": content for path, content in below(storage, uri).items()}
    return found


def test_what_is_written_is_read_back(storage: Storage) -> None:
    for content in (b"", b"{}", bytes(range(256)) * 1000):
        storage.write(f"{DAY}/part.json", content)
        assert storage.read(f"{DAY}/part.json") == content


def test_a_uri_may_be_spelled_as_hadoop_does_and_end_with_a_slash(storage: Storage) -> None:
    storage.write("s3a://lake/orders/a", b"1")
    assert storage.read("s3://lake/orders/a") == b"1"
    assert list(storage.children("s3n://lake/orders/")) == ["a"]


@pytest.mark.parametrize("name", ["50%", "a b+c", "a%20b", "..hidden", "v1.2", "région=Île", "a&b=c?d#e", "day=1:2"])
def test_odd_names_are_kept_as_they_are(storage: Storage, name: str) -> None:
    storage.write(f"{DAY}/{name}/{name}", b"x")
    assert storage.read(f"{DAY}/{name}/{name}") == b"x"
    assert (name in storage.children(DAY)) is not name.startswith(".")
    with storage.replacement(f"{LAKE}/made/{name}", "writer") as fresh:
        storage.write(f"{fresh.uri}/{name}", b"y")
        fresh.publish("_SUCCESS", b"")
    assert storage.read(f"{LAKE}/made/{name}/{name}") == b"y"


def test_reading_what_is_not_there_names_the_uri(storage: Storage) -> None:
    storage.write(f"{DAY}/part.json", b"")
    for missing in (f"{DAY}/other", DAY, f"{DAY}/part.json/below", "s3://nowhere/x", "s3://lake"):
        with pytest.raises(FileNotFoundError, match=missing):
            storage.read(missing)
        assert storage.version(missing) is None


def test_a_version_changes_with_the_content_and_is_the_same_wherever_it_is_asked(storage: Storage) -> None:
    uri = f"{DAY}/_SUCCESS"
    storage.write(uri, b"1")
    first = storage.version(uri)
    storage.write(uri, b"2")
    second = storage.version(uri)
    assert None not in {first, second}
    assert first != second
    assert [version for _, version in storage.find(LAKE, 2, ["_SUCCESS"])] == [second]
    assert [version for _, version in storage.find(LAKE, 2, None)] == [second]


def test_children_are_sorted_and_hidden_files_are_not_among_them(storage: Storage) -> None:
    write(storage, DAY, "b", "a/x", "a-b/x", "_SUCCESS", ".b.crc", ".writing/x")
    assert list(storage.children(DAY)) == ["_SUCCESS", "a", "a-b", "b"]
    for nothing in ("s3://lake/nothing", f"{DAY}/b", "s3://nowhere"):
        assert list(storage.children(nothing)) == []


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("part.json", True),
        ("sub/part.json", True),
        ("_k=1/part.json", True),
        ("_SUCCESS", False),
        ("_temporary/0/part.json", False),
        (".part.json.crc", False),
        (".writing/part.json", False),
        ("sub/_SUCCESS", False),
    ],
)
def test_markers_and_hidden_files_are_not_data(storage: Storage, name: str, counts: bool) -> None:
    assert not storage.has_objects(DAY)
    storage.write(f"{DAY}/{name}", b"1")
    assert storage.has_objects(DAY) is counts
    assert storage.has_objects(LAKE) is counts


def test_an_object_counts_as_below_its_own_uri_and_a_namesake_does_not(storage: Storage) -> None:
    storage.write(f"{DAY}-x", b"1")
    storage.write(f"{LAKE}/NA/2024-01-010/part", b"1")
    assert not storage.has_objects(DAY)
    storage.write(DAY, b"1")
    assert storage.has_objects(DAY)


def test_named_objects_are_found_at_their_depth_and_nowhere_else(storage: Storage) -> None:
    for region in ("NA", "EU", ".hidden"):
        for day in ("1", "2"):
            write(storage, f"{LAKE}/{region}/{day}", "_SUCCESS", "part", "sub/_SUCCESS")
    write(storage, LAKE, "_SUCCESS", "NA/_SUCCESS", "NA/3/_DONE")
    storage.delete(f"{LAKE}/EU/2/_SUCCESS")
    found = {segments for segments, _ in storage.find(LAKE, 2, ["_SUCCESS", "_DONE"])}
    assert found == {("NA", "1", "_SUCCESS"), ("NA", "2", "_SUCCESS"), ("NA", "3", "_DONE"), ("EU", "1", "_SUCCESS")}
    assert [segments for segments, _ in storage.find(LAKE, 0, ["_SUCCESS"])] == [("_SUCCESS",)]
    assert list(storage.find("s3://lake/nothing", 2, ["_SUCCESS"])) == []
    assert list(storage.find("s3://nowhere/nothing", 1, ["_SUCCESS"])) == []


def test_without_names_every_object_at_the_depth_is_found(storage: Storage) -> None:
    write(storage, f"{LAKE}/NA", "b", "a", ".c", "sub/d")
    assert [segments for segments, _ in storage.find(LAKE, 1, None)] == [("NA", "a"), ("NA", "b")]
    assert [segments for segments, _ in storage.find(f"{LAKE}/NA", 0, None)] == [("a",), ("b",)]


def test_delete_takes_an_object_or_everything_below_a_prefix_and_no_namesake(storage: Storage) -> None:
    write(storage, LAKE, "x/a", "x/ab", "x/b/c", "x/b/.c.crc", "x/bc/d")
    storage.delete(f"{LAKE}/x/a")
    assert list(storage.children(f"{LAKE}/x")) == ["ab", "b", "bc"]
    storage.delete(f"{LAKE}/x/b/")
    assert below(storage, LAKE) == {"x/ab": b"x/ab", "x/bc/d": b"x/bc/d"}
    with pytest.raises(FileNotFoundError):
        storage.read(f"{LAKE}/x/b/.c.crc")
    storage.delete(f"{LAKE}/x/nothing")
    storage.delete(LAKE)
    assert below(storage, LAKE) == {}


def test_create_takes_only_what_is_not_there(storage: Storage) -> None:
    assert storage.create(f"{DAY}/claim", b"first")
    assert not storage.create(f"{DAY}/claim", b"second")
    assert not storage.create(f"{DAY}/claim", b"first")
    assert storage.read(f"{DAY}/claim") == b"first"


def test_of_several_writers_at_once_exactly_one_creates(storage: Storage) -> None:
    writers = 8
    together = Barrier(writers)

    def create(number: int) -> bool:
        together.wait()
        return storage.create(f"{DAY}/claim", str(number).encode())

    for _ in range(5):
        with ThreadPoolExecutor(writers) as pool:
            won = list(pool.map(create, range(writers)))
        assert won.count(True) == 1
        assert storage.read(f"{DAY}/claim") == str(won.index(True)).encode()
        storage.delete(f"{DAY}/claim")


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("s3://lake/../x", "'..'"),
        ("s3://lake/a/..", "'..'"),
        ("s3://../x", "'..'"),
        ("s3://lake/./x", "'.'"),
        ("s3://lake//x", "''"),
        ("s3:///etc/passwd", "''"),
        ("s3://", "''"),
        ("s3://lake/a\\b", r"'a\\\\b'"),
        ("s3://lake/a\0b", r"'a\\x00b'"),
        ("s3://lake/%2e%2e/x", "'%2e%2e'"),
        ("s3://lake/%2E./x", "'%2E.'"),
        ("s3://lake/a%2Fb", "'a%2Fb'"),
        ("s3://lake/%252e%252e/x", "'%252e%252e'"),
        ("s3://lake/" + "x" * 256, "256 bytes"),
        ("/etc/passwd", "s3://bucket/key"),
        ("file:///etc/passwd", "s3://bucket/key"),
    ],
)
def test_a_name_that_would_leave_its_folder_is_refused_by_name(storage: Storage, uri: str, part: str) -> None:
    for verb in (storage.version, storage.has_objects, storage.read, storage.delete, storage.location):
        with pytest.raises(ValueError, match=part):
            verb(uri)
    for make in (storage.write, storage.create):
        with pytest.raises(ValueError, match=part):
            make(uri, b"")
    with pytest.raises(ValueError, match=part):
        list(storage.children(uri))
    with pytest.raises(ValueError, match=part):
        list(storage.find(uri, 1, ["_SUCCESS"]))
    with pytest.raises(ValueError, match=part):
        storage.replacement(uri, "writer")


def test_a_bucket_is_not_an_object(storage: Storage) -> None:
    with pytest.raises(ValueError, match="names a bucket"):
        storage.write("s3://lake", b"")


# replacing a partition ----------------------------------------------------------------------------------------


def test_published_content_takes_the_place_of_the_old(storage: Storage) -> None:
    write(storage, DAY, "old", "both", "_SUCCESS", "sub/old")
    write(storage, f"{DAY}-x", "neighbour")
    with storage.replacement(DAY, "writer") as fresh:
        storage.write(f"{fresh.uri}/both", b"new")
        storage.write(f"{fresh.uri}/sub/new", b"new")
        assert below(storage, DAY)["both"] == b"both"
        fresh.publish("_SUCCESS", b"whole")
    assert below(storage, DAY) == {"both": b"new", "sub/new": b"new", "_SUCCESS": b"whole"}
    assert below(storage, LAKE).keys() == {f"NA/2024-01-01/{name}" for name in ("both", "sub/new", "_SUCCESS")} | {
        "NA/2024-01-01-x/neighbour"
    }


def test_what_is_not_published_changes_nothing(storage: Storage) -> None:
    write(storage, DAY, "old", "_SUCCESS")
    before = below(storage, LAKE)
    with storage.replacement(DAY, "writer") as fresh:
        storage.write(f"{fresh.uri}/new", b"new")
    with pytest.raises(FileNotFoundError), storage.replacement(DAY, "writer") as fresh:
        storage.read(f"{fresh.uri}/never-written")
    assert below(storage, LAKE) == before


def test_nothing_written_is_published_as_an_empty_partition(storage: Storage) -> None:
    write(storage, DAY, "old")
    with storage.replacement(DAY, "writer") as fresh:
        fresh.publish("_SUCCESS", b"")
    assert below(storage, DAY) == {"_SUCCESS": b""}


def test_several_writers_of_one_prefix_do_not_mix(storage: Storage) -> None:
    with storage.replacement(DAY, "first") as first, storage.replacement(DAY, "second") as second:
        storage.write(f"{first.uri}/a", b"first")
        storage.write(f"{second.uri}/b", b"second")
        second.publish("_SUCCESS", b"second")
        assert below(storage, DAY) == {"b": b"second", "_SUCCESS": b"second"}
        first.publish("_SUCCESS", b"first")
    assert below(storage, DAY) == {"a": b"first", "_SUCCESS": b"first"}


def test_a_name_too_long_beside_its_own_marks_can_be_replaced(storage: Storage) -> None:
    uri = f"{LAKE}/{'x' * 255}"
    with storage.replacement(uri, "writer") as fresh:
        storage.write(f"{fresh.uri}/a", b"1")
        fresh.publish("_SUCCESS", b"")
    assert below(storage, uri) == {"a": b"1", "_SUCCESS": b""}


def test_a_folder_that_reads_as_a_folded_value_is_found(storage: Storage) -> None:
    levels = {"org": {"type": "STRING", "format": str.lower, "day": {"type": "DATETIME", "format": "%Y/%m/%d"}}}
    node = external_node("app", "x", S3Dataset("1", "lake", "orders", "org={}", "{}"), levels, None, SUCCESS)
    day = node.spec.read(["se", "2024-01-02"])
    assert partition_folder(storage, node, day) == f"{LAKE}/org=se/2024/01/02"
    for folder in ("org=SE/2024/01/02", "org=Se/2024/01/02", "org=SE/2024/01/03", "se/2024/01/02", "org=se/2024/01/01"):
        storage.write(f"{LAKE}/{folder}/_SUCCESS", b"")
    assert partition_folder(storage, node, day) == f"{LAKE}/org=SE/2024/01/02"
    storage.write(f"{LAKE}/org=se/2024/01/02/part", b"1")
    assert partition_folder(storage, node, day) == f"{LAKE}/org=se/2024/01/02"


def test_a_folder_whose_name_goes_on_after_the_value_is_found(storage: Storage) -> None:
    levels = {"day": {"type": "DATETIME", "format": "%Y/%m/%d", "n": {"type": "LONG"}}}
    node = external_node("app", "x", S3Dataset("1", "lake", "orders", "{}*", "v*/n={}"), levels, None, SUCCESS)
    partition = node.spec.read(["2024-01-02", 7])
    assert partition_folder(storage, node, partition) == f"{LAKE}/2024/01/02*/v*/n=7"
    for folder in ("2024/01/02_b/v1/n=77", "2024/01/02_b/v2/n=7", "2024/01/03_a/v1/n=7", "2024/01/02_c/w/n=7"):
        storage.write(f"{LAKE}/{folder}/_SUCCESS", b"")
    assert partition_folder(storage, node, partition) == f"{LAKE}/2024/01/02_b/v2/n=7"


def test_the_storage_dates_what_is_written_by_its_own_clock_and_expires_what_is_older(storage: Storage) -> None:
    write(storage, DAY, "old")
    write(storage, f"{DAY}/below", "old")
    written = storage.modified(f"{DAY}/old")
    assert written is not None
    assert storage.modified(f"{DAY}/other") is None
    storage.expire(DAY, written - 1)
    storage.expire("s3://lake/nothing", written)
    assert list(storage.children(DAY)) == ["below", "old"]
    while (again := storage.modified(f"{DAY}/new") or written) < written + 1:  # S3 tells whole seconds
        write(storage, DAY, "new")
    storage.expire(DAY, again)
    assert list(storage.children(DAY)) == ["below", "new"]
    assert list(storage.children(f"{DAY}/below")) == ["old"]


BOOKKEEPING = ["_started_123", "_SUCCESS", ".part.crc", "x.tmp", "x.csv._COPYING_", "part_$folder$", "a.crc"]


@pytest.mark.parametrize("name", [*BOOKKEEPING, "_temporary/part", ".hive-staging/part"])
def test_bookkeeping_is_no_data_and_announces_nothing_without_a_protocol(storage: Storage, name: str) -> None:
    dataset = S3Dataset("1", "lake", "orders", "{}", "{}")
    spec = {"region": {"type": "STRING", "day": {"type": "STRING"}}}
    orders = external_node("shop", "orders", dataset, spec)
    write(storage, DAY, name)
    assert not storage.has_objects(DAY)
    assert not storage.has_objects(f"{DAY}/{name.partition('/')[0]}") or "/" in name
    assert list(announcements(storage, orders)) == []
    write(storage, DAY, "part.csv", "_k=1/part.csv")
    assert storage.has_objects(DAY)
    assert [segments[-1] for segments, _ in announcements(storage, orders)] == ["part.csv"]
    write(storage, f"{LAKE}/_temporary/0", "part.csv")
    assert len(list(announcements(storage, orders))) == 1


@pytest.mark.parametrize("name", ["_started_123", ".done", "x.tmp", "_SUCCESS"])
def test_a_protocols_own_file_is_found_whatever_its_name(storage: Storage, name: str) -> None:
    write(storage, DAY, name, "_other")
    assert storage.version(f"{DAY}/{name}") is not None
    assert [segments[-1] for segments, _ in storage.find(LAKE, 2, [name])] == [name]
