"""What is S3's own: calls, pages, races, encryption, refusals."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.aws.buckets import make_bucket
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.runner.mirror import Mirror

LAKE = "s3://lake/orders"
DAY = f"{LAKE}/NA/2024-01-01"


class Killed(BaseException):
    """The end of a process."""


class Answers:
    """Answers some calls of S3 instead of S3."""

    def __init__(self, clients: Clients) -> None:
        self._events = clients.client("s3").meta.events

    def turn_away(self, status: int, code: str) -> None:
        """Answers every call with an error from now on, and a HEAD without a word of which one, as S3 does."""

        def answer(request: Any, **_: Any) -> AWSResponse:
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            return AWSResponse(request.url, status, {}, _Raw(b"" if request.method == "HEAD" else body))

        self._events.register("before-send.s3", answer)

    def instead(self, operation: str, *errors: tuple[int, str]) -> list[str]:
        """Answers as many calls as there are errors: (HTTP status, code)."""
        left, given = list(errors), []

        def answer(request: Any, **_: Any) -> AWSResponse | None:
            if not left:
                return None
            status, code = left.pop(0)
            given.append(code)
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode() if code else b""
            return AWSResponse(request.url, status, {}, _Raw(body))

        self._events.register(f"before-send.s3.{operation}", answer)
        return given


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


@pytest.fixture
def answers(clients: Clients) -> Answers:
    return Answers(clients)


def land(storage: S3Storage, count: int, files: int = 1) -> None:
    """Lands partitions of one day each, completion file last."""
    for day in range(count):
        for file in range(files):
            storage.write(f"{LAKE}/NA/{day:05}/part-{file}", b"")
        storage.write(f"{LAKE}/NA/{day:05}/_SUCCESS", b"")


def test_noticing_an_arrival_lists_folders_and_asks_for_one_object_in_each(
    storage: S3Storage, calls: Counter[str]
) -> None:
    land(storage, 10, files=30)
    calls.clear()
    assert len(list(storage.find(LAKE, 2, ["_SUCCESS"]))) == 10
    assert calls == {"ListObjectsV2": 2, "HeadObject": 10}  # below orders, below NA: 310 objects are not listed


def test_a_partition_of_many_files_has_data_after_one_short_page(storage: S3Storage, calls: Counter[str]) -> None:
    land(storage, 1, files=150)
    calls.clear()
    assert storage.has_objects(f"{LAKE}/NA/00000")
    assert calls == {"ListObjectsV2": 1}


def test_thousands_of_folders_are_found_page_by_page(storage: S3Storage, calls: Counter[str], clients: Clients) -> None:
    s3 = clients.client("s3")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket="lake", Key=f"orders/{n:05}/_SUCCESS", Body=b""), range(1100)))
    calls.clear()
    found = [segments[0] for segments, _ in storage.find(LAKE, 1, ["_SUCCESS"])]
    assert found == [f"{n:05}" for n in range(1100)]
    assert calls == {"ListObjectsV2": 2, "HeadObject": 1100}
    assert len(list(storage.children(LAKE))) == 1100
    calls.clear()
    storage.delete(LAKE)
    assert calls == {"DeleteObject": 1, "ListObjectsV2": 2, "DeleteObjects": 2}
    assert list(storage.children(LAKE)) == []


def test_writing_the_same_content_again_later_is_a_new_version(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    storage.write(f"{DAY}/_SUCCESS", b"")
    first = storage.version(f"{DAY}/_SUCCESS")
    time.sleep(1.1)  # S3 tells whole seconds
    storage.write(f"{DAY}/_SUCCESS", b"")
    assert storage.version(f"{DAY}/_SUCCESS") not in {None, first}


def test_markers_that_tools_write_for_folders_are_not_seen(storage: S3Storage, clients: Clients) -> None:
    for key in ("orders/NA/", "orders/NA_$folder$", "orders/NA/2024-01-01_$folder$", "orders//odd", "orders/NA//odd"):
        clients.client("s3").put_object(Bucket="lake", Key=key, Body=b"")
    assert list(storage.children(LAKE)) == ["NA"]
    assert not storage.has_objects(LAKE)
    assert list(storage.find(LAKE, 1, None)) == []


def test_a_bucket_that_does_not_exist_is_said_once(storage: S3Storage, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert list(storage.find("s3://laek/orders", 2, ["_SUCCESS"])) == []
        assert not storage.has_objects("s3://laek/orders/NA")
    assert [record.message for record in caplog.records if "laek" in record.message] == [
        "there is no bucket 'laek': whatever reads it waits until there is"
    ]
    with pytest.raises(FileNotFoundError, match=r"no such bucket.*s3://laek/x"):
        storage.write("s3://laek/x", b"")


def test_a_large_object_is_written_in_parts(
    storage: S3Storage, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Storage, "large", 5 * 1024**2)
    content = bytes(range(256)) * 4 * 11 * 1024
    storage.write(f"{DAY}/big", content)
    assert (calls["CreateMultipartUpload"], calls["UploadPart"], calls["PutObject"]) == (1, 3, 0)
    assert storage.read(f"{DAY}/big") == content


KEY = "arn:aws:kms:eu-west-1:123456789012:key/k"
DEFAULT_KEY = "arn:aws:kms:eu-west-1:123456789012:key/default"


def encrypted_by_default(clients: Clients) -> None:
    """Gives the bucket a key of its own and a policy that denies every other encryption."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": DEFAULT_KEY}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    s3 = clients.client("s3")
    s3.put_bucket_encryption(Bucket="lake", ServerSideEncryptionConfiguration={"Rules": rules})

    def deny(request: Any, **_: Any) -> AWSResponse | None:
        asked = request.headers.get("x-amz-server-side-encryption", b"aws:kms")
        if asked in {"aws:kms", b"aws:kms"}:
            return None
        body = b"<Error><Code>AccessDenied</Code><Message>explicit deny in a resource-based policy</Message></Error>"
        return AWSResponse(request.url, 403, {}, _Raw(body))

    s3.meta.events.register("before-send.s3", deny)


@pytest.mark.parametrize(("named", "used"), [(None, DEFAULT_KEY), (KEY, KEY)])
def test_the_bucket_s_default_key_encrypts_what_is_written_unless_another_was_named(
    storage: S3Storage, clients: Clients, named: str | None, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted_by_default(clients)
    encrypted = S3Storage(clients, kms_key=named)
    monkeypatch.setattr(S3Storage, "large", 5 * 1024**2)
    monkeypatch.setattr(S3Storage, "one_copy", 5 * 1024**2)
    monkeypatch.setattr(S3Storage, "part", 5 * 1024**2)
    encrypted.write(f"{DAY}/written", b"")
    encrypted.create(f"{DAY}/created", b"")
    with encrypted.replacement(f"{DAY}/made", "writer") as fresh:
        clients.client("s3").put_object(Bucket="lake", Key=fresh.uri.removeprefix("s3://lake/") + "/copied", Body=b"")
        encrypted.write(f"{fresh.uri}/large", bytes(6 * 1024**2))
        fresh.publish("_SUCCESS", b"")
    for name in ("written", "created", "made/copied", "made/large", "made/_SUCCESS"):
        head = clients.client("s3").head_object(Bucket="lake", Key=f"orders/NA/2024-01-01/{name}")
        assert (name, head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (name, "aws:kms", used)


# races and refusals -------------------------------------------------------------------------------------------


def test_a_lost_answer_does_not_lose_what_was_created(storage: S3Storage, clients: Clients) -> None:
    lost: list[bool] = []

    def lose(**_: Any) -> int | None:
        """Has the call sent a second time, at once, although S3 has answered the first."""
        return None if lost else lost.append(True) or 0

    clients.client("s3").meta.events.register("needs-retry.s3.PutObject", lose)
    assert storage.create(f"{DAY}/claim", b"mine")
    assert lost
    assert not storage.create(f"{DAY}/claim", b"mine")


def test_writers_that_collide_try_again_until_one_has_won(storage: S3Storage, answers: Answers) -> None:
    given = answers.instead("PutObject", *[(409, "ConditionalRequestConflict")] * 3)
    together = Barrier(2)

    def create(content: bytes) -> bool:
        together.wait()
        return storage.create(f"{DAY}/claim", content)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(create, (b"one", b"two"))) == [False, True]
    assert given


def test_throttling_is_tried_again(storage: S3Storage, answers: Answers) -> None:
    given = answers.instead("PutObject", (503, "SlowDown"), (503, "SlowDown"))
    storage.write(f"{DAY}/a", b"1")
    assert given == ["SlowDown", "SlowDown"]
    assert storage.read(f"{DAY}/a") == b"1"


def test_a_refusal_names_the_object_and_the_permission(storage: S3Storage, answers: Answers) -> None:
    answers.instead("PutObject", (403, "AccessDenied"))
    with pytest.raises(PermissionError, match=r"need s3:PutObject.*orders/NA/2024-01-01/a"):
        storage.write(f"{DAY}/a", b"1")
    answers.instead("HeadObject", (403, ""))
    with pytest.raises(PermissionError, match=r"need s3:GetObject and s3:ListBucket"):
        storage.version(f"{DAY}/a")


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (400, "ExpiredToken", "AWS refused them with ExpiredToken .*Log in again: they have expired"),
        (400, "InvalidToken", "AWS refused them with InvalidToken .*Log in again, or set AWS_PROFILE"),
        (403, "InvalidAccessKeyId", "AWS refused them with InvalidAccessKeyId .*Log in again"),
        (403, "RequestTimeTooSkewed", "AWS refused them with RequestTimeTooSkewed .*Set the clock of this machine"),
    ],
)
@pytest.mark.parametrize("ask", ["version", "modified", "create", "copy", "download", "prepare"])
def test_a_head_without_a_body_is_told_in_the_words_of_an_answer_with_one(
    storage: S3Storage, clients: Clients, answers: Answers, ask: str, status: int, code: str, says: str, tmp_path: Path
) -> None:
    asks: dict[str, Callable[[], object]] = {
        "version": lambda: storage.version(f"{DAY}/a"),
        "modified": lambda: storage.modified(f"{DAY}/a"),
        "create": lambda: storage.create(f"{DAY}/a", b""),
        "copy": lambda: storage.copy("lake", "orders/a", 2**40, "orders/b"),
        "download": lambda: Mirror(None, tmp_path, clients.client("s3")).fetch_object(f"{DAY}/a"),
        "prepare": lambda: make_bucket(clients, "lake", "123456789012", None, "application 'shop'"),
    }
    answers.turn_away(status, code)
    with pytest.raises(CapabilityMissing, match=says), clients.explaining("'shop'"):
        asks[ask]()


def test_a_head_that_is_refused_by_mistake_is_answered_by_the_second_call(
    storage: S3Storage, answers: Answers, calls: Counter[str]
) -> None:
    storage.write(f"{DAY}/a", b"1")
    calls.clear()
    answers.instead("HeadObject", (403, ""))
    assert storage.version(f"{DAY}/b") is None
    assert calls == {"HeadObject": 1, "GetObject": 1}, "once more, not for ever"


def test_other_errors_of_s3_are_told_as_they_are(storage: S3Storage, answers: Answers) -> None:
    answers.instead("PutObject", (400, "EntityTooLarge"))
    with pytest.raises(ClientError, match="EntityTooLarge"):
        storage.write(f"{DAY}/a", b"1")


# replacing a partition ----------------------------------------------------------------------------------------


def test_who_takes_an_execution_over_finds_what_its_job_wrote(storage: S3Storage) -> None:
    storage.write(f"{DAY}/old", b"")
    with storage.replacement(DAY, "execution") as first:
        storage.write(f"{first.uri}/part-0", b"0")
    with storage.replacement(f"{DAY}/", "execution") as second:
        assert second.uri == first.uri
        storage.write(f"{second.uri}/part-1", b"1")
        second.publish("_SUCCESS", b"")
    assert list(storage.children(DAY)) == ["_SUCCESS", "part-0", "part-1"]
    assert list(storage.children(second.uri)) == []
    assert storage.replacement(DAY, "other").uri != first.uri
    assert storage.replacement(f"{DAY}x", "execution").uri != first.uri


@pytest.mark.parametrize("writer", ["../x", "", "a//b", "%2e%2e"])
def test_a_writer_cannot_lead_elsewhere(storage: S3Storage, writer: str) -> None:
    with pytest.raises(ValueError, match="cannot be stored"):
        storage.replacement(DAY, writer)


def test_a_crash_at_any_call_leaves_the_partition_whole_or_incomplete(storage: S3Storage, clients: Clients) -> None:
    """Dies before each call in turn; then the next driver publishes the same execution."""
    before = {"_SUCCESS": b"old", "a": b"old", "b": b"old"}
    after = {"_SUCCESS": b"new", "b": b"new", "c": b"new"}
    seen = Counter[str]()
    dies_at, calls_made = 0, [1000]

    def die(**_: Any) -> None:
        calls_made[0] += 1
        if calls_made[0] == dies_at:
            raise Killed

    clients.client("s3").meta.events.register("before-call.s3", die)
    for dies_at in range(1, 100):
        storage.delete(DAY)
        for name, content in before.items():
            storage.write(f"{DAY}/{name}", content)
        fresh = storage.replacement(DAY, f"execution-{dies_at}")
        for name in ("b", "c"):
            storage.write(f"{fresh.uri}/{name}", b"new")
        calls_made[0] = 0
        try:
            fresh.publish("_SUCCESS", b"new")
        except Killed:
            calls_made[0] = 1000
            found = {name: storage.read(f"{DAY}/{name}") for name in storage.children(DAY)}
            seen["old" if found == before else "new" if found == after else "incomplete"] += 1
            assert found in (before, after) or "_SUCCESS" not in found
        else:
            break
    assert dies_at > 8
    assert min(seen["old"], seen["incomplete"], seen["new"]) > 0


def test_an_object_too_large_for_one_copy_is_copied_in_parts(
    storage: S3Storage, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Storage, "one_copy", 5 * 1024**2)
    monkeypatch.setattr(S3Storage, "part", 5 * 1024**2)
    content = bytes(range(256)) * 4 * 11 * 1024
    with storage.replacement(DAY, "writer") as fresh:
        storage.write(f"{fresh.uri}/big", content)
        fresh.publish("_SUCCESS", b"")
    assert calls["UploadPartCopy"] == 3
    assert storage.read(f"{DAY}/big") == content


def test_a_partition_of_more_objects_than_a_page_is_replaced_whole(storage: S3Storage, clients: Clients) -> None:
    s3 = clients.client("s3")
    old = [f"orders/NA/2024-01-01/old-{n}" for n in range(1050)]
    fresh = storage.replacement(DAY, "writer")
    new = [f"{fresh.uri.removeprefix('s3://lake/')}/new-{n}" for n in range(1050)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket="lake", Key=key, Body=b""), [*old, *new]))
    fresh.publish("_SUCCESS", b"")
    assert sorted(storage.children(DAY)) == sorted(["_SUCCESS", *(f"new-{n}" for n in range(1050))])
