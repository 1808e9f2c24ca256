"""The platform as an application uses it: its account, its bucket, its engines."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from rheo_assets import PrestoSQL
from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.platforms.aws.buckets import NAMED, bucket_name
from rheo_assets.platforms.aws.platform import _MAKERS, AwsPlatform
from tests.platforms.aws.account.conftest import ACCOUNT, REGION

KMS = "arn:aws:kms:eu-west-1:123456789012:key/k"


# names --------------------------------------------------------------------------------------------------------


@pytest.mark.fast
@pytest.mark.parametrize(
    ("application", "says"),
    [
        ("Shop", "has 'S'"),
        ("my_shop", "has '_'"),
        ("s" * 40, "has 71 characters; S3 takes 3 to 63"),
    ],
)
def test_a_name_that_no_bucket_can_have_says_what_to_change(application: str, says: str) -> None:
    with pytest.raises(DeclarationError, match=rf"application '{application}'.*{says}.*AwsPlatform another bucket="):
        bucket_name(NAMED, application, ACCOUNT, "eu-central-1")


@pytest.mark.fast
@pytest.mark.parametrize("pattern", ["xn--{application}", "a..{application}", "{application}-", "10.0.0.{application}"])
def test_s3_s_own_rules_are_held(pattern: str) -> None:
    with pytest.raises(DeclarationError, match="its bucket would be"):
        bucket_name(pattern, "1", ACCOUNT, REGION)


@pytest.mark.fast
@pytest.mark.parametrize("pattern", ["data", "{app}", "{application", "{}"])
def test_applications_cannot_share_a_bucket(pattern: str) -> None:
    with pytest.raises(DeclarationError, match="own bucket by"):
        AwsPlatform(bucket=pattern)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"account_id": "1234"}, "twelve digits"),
        ({"region": "Ireland"}, "eu-west-1"),
        ({"engine_options": {"atena": {}}}, "Did you mean 'athena'"),
    ],
)
def test_what_aws_cannot_take_is_refused_at_once(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        AwsPlatform(**given)


def test_a_platform_is_made_and_names_its_bucket_without_asking_aws(no_credentials: None) -> None:
    platform = AwsPlatform("111222333444", "eu-west-1", engine_options={"athena": {"workgroup": "team"}})
    assert platform.bucket("shop") == "rheo-shop-111222333444-eu-west-1"
    assert platform.params() == {"platform": "aws", "AWS_REGION": "eu-west-1", "AWS_ACCOUNT_ID": "111222333444"}
    assert (platform.options("athena")["workgroup"], dict(platform.options("glue"))) == ("team", {})
    assert repr(platform) == "AwsPlatform('111222333444', region='eu-west-1')"
    assert AwsPlatform(bucket="team-{application}").bucket("shop") == "team-shop"


def test_the_region_is_the_environment_s(monkeypatch: pytest.MonkeyPatch, no_credentials: None) -> None:
    assert AwsPlatform().region == "us-east-1"
    monkeypatch.setenv("AWS_REGION", "ap-southeast-2")
    assert AwsPlatform().region == "ap-southeast-2"


def test_params_travel_as_json(platform: AwsPlatform) -> None:
    assert json.loads(json.dumps(dict(platform.params())))["AWS_ACCOUNT_ID"] == ACCOUNT


# the bucket ---------------------------------------------------------------------------------------------------


def settings(platform: AwsPlatform, bucket: str) -> dict[str, Any]:
    s3 = platform.clients.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    return {
        "blocked": set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()),
        "encrypted": encryption["ApplyServerSideEncryptionByDefault"],
        "expired": [
            (rule["Filter"]["Prefix"], rule["Expiration"]["Days"])
            for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
            if "Days" in rule.get("Expiration", {})
        ],
        "region": s3.get_bucket_location(Bucket=bucket)["LocationConstraint"],
    }


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
@pytest.mark.parametrize("kms_key", [None, KMS])
def test_a_missing_bucket_is_made_private_and_encrypted(aws: None, region: str, kms_key: str | None) -> None:
    platform = AwsPlatform(region=region, kms_key=kms_key)
    platform.prepare("shop")
    default = {"SSEAlgorithm": "AES256"} if kms_key is None else {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KMS}
    assert settings(platform, f"rheo-shop-{ACCOUNT}-{region}") == {
        "blocked": {True},
        "encrypted": default,
        "expired": [(".writing/", 7)],
        "region": None if region == "us-east-1" else region,
    }


def test_cut_uploads_and_old_versions_do_not_stay_for_ever(platform: AwsPlatform) -> None:
    s3, bucket = platform.clients.client("s3"), platform.bucket("shop")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    earlier = {
        "ID": "rheo-leftovers",
        "Status": "Enabled",
        "Filter": {"Prefix": ".writing/"},
        "Expiration": {"Days": 7},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [earlier]})
    platform.prepare("shop")
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert rules["rheo-cut-uploads"]["Filter"] == rules["rheo-old-versions"]["Filter"] == {"Prefix": ""}
    assert rules["rheo-cut-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rules["rheo-old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["rheo-old-versions"]["Expiration"]["ExpiredObjectDeleteMarker"] is True


def test_preparing_again_changes_nothing(platform: AwsPlatform) -> None:
    platform.prepare("shop")
    written: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        written[model.name] += 1

    platform.clients.client("s3").meta.events.register("before-call.s3", count)
    platform.prepare("shop")
    assert not [name for name in written if name.startswith(("Put", "Create"))]


def test_several_processes_may_prepare_at_once(aws: None) -> None:
    platforms = [AwsPlatform(region=REGION) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.prepare("shop"), platforms))
    assert settings(platforms[0], platforms[0].bucket("shop"))["blocked"] == {True}


def test_what_people_set_on_their_bucket_stays_but_that_it_is_public(platform: AwsPlatform) -> None:
    s3, bucket = platform.clients.client("s3"), platform.bucket("shop")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    kept = {"ID": "ours", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [kept]})
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    platform.prepare("shop")
    assert settings(platform, bucket)["expired"] == [("x/", 3)]
    assert settings(platform, bucket)["blocked"] == {True}


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("BucketAlreadyExists", "another account has it. Give AwsPlatform another bucket="),
        ("AccessDenied", "S3 refuses CreateBucket. Allow s3:CreateBucket"),
        ("TooManyBuckets", "CreateBucket failed with TooManyBuckets"),
    ],
)
def test_a_bucket_that_cannot_be_had_is_said_with_the_application(platform: AwsPlatform, code: str, says: str) -> None:
    with Stubber(platform.clients.client("s3")) as stub:
        stub.add_client_error("head_bucket", "404", http_status_code=404)
        stub.add_client_error("create_bucket", code)
        with pytest.raises(CapabilityMissing, match=f"application 'shop'.*{says}"):
            platform.prepare("shop")


def test_a_bucket_in_another_region_is_not_taken_silently(platform: AwsPlatform) -> None:
    other = AwsPlatform(region="us-west-2").clients.client("s3")
    place = {"LocationConstraint": "us-west-2"}
    other.create_bucket(Bucket=platform.bucket("shop"), CreateBucketConfiguration=place)
    with pytest.raises(
        CapabilityMissing, match=r"runs in eu-west-1, but its bucket .* is in us-west-2.*region='us-west-2'"
    ):
        platform.prepare("shop")


def test_a_bucket_that_another_account_owns_is_told_as_that(platform: AwsPlatform) -> None:
    with Stubber(platform.clients.client("s3")) as stub:
        stub.add_client_error("head_bucket", "403", http_status_code=403)
        stub.add_client_error("list_objects_v2", "AccessDenied", http_status_code=403)  # the HEAD, with a body
        stub.add_response("head_bucket", {})  # whoever owns it lets us look
        with pytest.raises(CapabilityMissing, match="another account has it"):
            platform.prepare("shop")


def test_a_role_that_may_not_look_at_settings_can_still_use_the_bucket(
    platform: AwsPlatform, caplog: pytest.LogCaptureFixture
) -> None:
    with Stubber(platform.clients.client("s3")) as stub:
        stub.add_response("head_bucket", {})
        for call in ("get_public_access_block", "get_bucket_encryption", "get_bucket_lifecycle_configuration"):
            stub.add_client_error(call, "AccessDenied")
        platform.prepare("shop")
    assert len([record for record in caplog.records if "is used as it is" in record.message]) == 3


def test_credentials_of_another_account_are_refused(aws: None) -> None:
    with pytest.raises(
        CapabilityMissing, match=f"for account 111222333444, but the credentials are of account {ACCOUNT}"
    ):
        AwsPlatform("111222333444", REGION).prepare("shop")


# engines ------------------------------------------------------------------------------------------------------


def test_an_engine_is_opened_once_and_only_when_a_node_needs_it(platform: AwsPlatform) -> None:
    target = PrestoSQL("select 1")
    assert platform.engine(target) is platform.engine(target)


def test_every_engine_that_the_platform_names_has_its_module() -> None:
    for module, function in _MAKERS.values():
        found = find_spec(f"rheo_assets.platforms.aws.{module}")
        assert found is not None, module
        assert f"def {function}(" in Path(str(found.origin)).read_text(), module
