"""Sessions and clients: found credentials, given ones, and none."""

from __future__ import annotations

import json
import logging
import pickle
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle
import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)

from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.platform import AwsPlatform

REGION = "eu-west-1"
KEY, SECRET, TOKEN = "AKIDGIVENINCODE", "wJalrXUtnFEMI/given", "FwoGZXIvYXdzEGiven"


def refused(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


def test_a_client_is_made_once_whoever_asks_first(aws: None) -> None:
    clients = Clients(REGION)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: clients.client("s3"), range(32)))
    assert len({id(client) for client in made}) == 1
    assert made[0].meta.region_name == REGION
    assert made[0].meta.config.retries == {"mode": "standard", "total_max_attempts": 8}


def test_another_endpoint_serves_every_client(aws: None) -> None:
    clients = Clients(REGION, endpoint_url="http://localhost:9")
    assert {clients.client(name).meta.endpoint_url for name in ("s3", "glue")} == {"http://localhost:9"}


def test_the_account_is_that_of_the_credentials(aws: None) -> None:
    assert Clients(REGION).account_id("application 'shop'") == "123456789012"


def test_no_credentials_say_what_was_tried_and_what_to_do(no_credentials: None) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        Clients(REGION).account_id("application 'shop'")
    assert str(caught.value) == (
        "application 'shop' asks for AWS in eu-west-1, but there are no usable credentials: none were found (tried: no "
        "AWS_ACCESS_KEY_ID in the environment, the default profile, the container's and the instance's role). Log in "
        "or set AWS_PROFILE, or set RHEO_PLATFORM=local to run the same file on this machine"
    )


@pytest.mark.parametrize("package", ["botocore", "boto3"])
def test_without_boto3_the_pip_line_is_shown(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CapabilityMissing, match=r"pip install 'rheo-assets\[aws\]'"):
        AwsPlatform(region=REGION).prepare("shop")


def test_an_unknown_profile_is_named(no_credentials: None) -> None:
    with pytest.raises(CapabilityMissing, match=r"profile \(team\).*list-profiles"):
        Clients(REGION, profile="team").client("s3")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refused("ExpiredToken"), "AWS refused them with ExpiredToken"),
        (refused("SignatureDoesNotMatch", f"x-amz-security-token:{TOKEN}"), "refused them with SignatureDoesNotMatch"),
        (PartialCredentialsError(provider="env", cred_var="aws_secret_access_key"), "aws_secret_access_key is missing"),
        (CredentialRetrievalError(provider="assume-role", error_msg=TOKEN), "assume-role gave none"),
        (UnauthorizedSSOTokenError(), "the login has ended"),
        (EndpointConnectionError(endpoint_url="https://sts"), "out of reach"),
    ],
)
def test_errors_about_credentials_are_told_without_them(aws: None, error: Exception, says: str) -> None:
    with pytest.raises(CapabilityMissing, match=says) as caught, Clients(REGION).explaining("application 'shop'"):
        raise error
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_other_errors_stay_as_they_are(aws: None) -> None:
    with pytest.raises(ClientError, match="Throttling"), Clients(REGION).explaining("application 'shop'"):
        raise refused("Throttling")


@pytest.mark.parametrize("half", [{"access_id": KEY}, {"access_key": SECRET}])
def test_half_a_key_is_refused(half: dict[str, str]) -> None:
    with pytest.raises(DeclarationError, match="one half of an access key") as caught:
        Clients(REGION, **half)
    assert not any(text in str(caught.value) for text in (KEY, SECRET))


def deep(value: Any, depth: int = 4) -> str:
    """Everything that looking at an object's attributes shows."""
    if depth == 0 or not hasattr(value, "__dict__"):
        return repr(value)
    return repr(vars(value)) + "".join(deep(part, depth - 1) for part in vars(value).values())


def test_given_credentials_are_used_and_shown_nowhere(aws: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    given: dict[str, Any] = {"access_id": KEY, "access_key": SECRET, "session_token": TOKEN}
    platform = AwsPlatform(region=REGION, **given)
    platform.prepare("shop")
    platform.storage.write(f"s3://{platform.bucket('shop')}/a", b"1")
    with pytest.raises(FileNotFoundError) as caught:
        platform.storage.read(f"s3://{platform.bucket('shop')}/b")
    credentials = platform.clients.session().get_credentials()
    assert (credentials.access_key, credentials.secret_key, credentials.token) == (KEY, SECRET, TOKEN)
    shown = [repr(platform), deep(platform), caplog.text, json.dumps(dict(platform.params()))]
    shown += traceback.format_exception(caught.value)
    for secret in (KEY, SECRET, TOKEN):
        assert not any(secret in text for text in shown)


def test_a_level_that_somebody_set_for_botocore_stays(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("botocore"), "level", logging.WARNING)
    Clients(REGION, access_id=KEY, access_key=SECRET).client("s3")
    assert logging.getLogger("botocore").level == logging.WARNING


def test_what_holds_a_session_is_never_pickled(aws: None) -> None:
    platform = AwsPlatform(region=REGION, access_id=KEY, access_key=SECRET)
    for dumps in (pickle.dumps, cloudpickle.dumps):
        with pytest.raises(TypeError) as caught:
            dumps(platform.storage)
        assert SECRET not in str(caught.value)


def test_a_child_process_opens_the_same_session(aws: None) -> None:
    given = Clients(REGION, access_id=KEY, access_key=SECRET, endpoint_url="http://localhost:9").child_environment()
    assert given == {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": "http://localhost:9",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    assert Clients(REGION).child_environment() == {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


def test_sessions_are_new_and_share_their_credentials(aws: None) -> None:
    clients = Clients(REGION)
    first, second = clients.session(), clients.session()
    assert first is not second
    assert first.get_credentials() is second.get_credentials()
    assert first.client("sts").get_caller_identity()["Account"] == "123456789012"
