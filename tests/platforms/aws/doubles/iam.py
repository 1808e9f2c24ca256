"""An IAM that decides about calls: by one policy document, and by what AWS checks besides the call itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

from rheo_assets.platforms.aws.clients import Clients

Need = tuple[str, str, str]
"""An action, the ARN that it is asked for, and the service to which a role is handed."""

ACCOUNT, REGION = "123456789012", "us-east-1"
_S3 = {
    "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "CreateBucket": "CreateBucket",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "HeadObject": "GetObject", "GetObject": "GetObject", "PutObject": "PutObject", "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload", "DeleteObject": "DeleteObject", "DeleteObjects": "DeleteObject",
}  # fmt: skip

_CLUSTER = f"arn:aws:elasticmapreduce:{REGION}:{ACCOUNT}:cluster/j-1"


class Guard:
    """Lets calls through that a policy allows, and answers the others as AWS does.

    Args:
        document: The policy.
        key: The ARN of the KMS key of all buckets.
    """

    def __init__(self, document: Mapping[str, Any], key: str) -> None:
        self.document = document
        self.needs: set[Need] = set()
        self._key = key

    def watch(self, clients: Clients, *services: str) -> None:
        """Decides about the calls of these clients from now on, whether or not they repeat calls."""
        for service in services:
            for repeats in (True, False):
                clients.client(service, repeats=repeats).meta.events.register("provide-client-params", self._decide)

    def _decide(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        for need in needs(model.service_model.signing_name, model.name, params, self._key):
            self.needs.add(need)
            if not allows(self.document["Statement"], need):
                told = f"User is not authorized to perform: {need[0]} on resource: {need[1]}"
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": told}}, model.name)


def allows(statements: list[dict[str, Any]], need: Need) -> bool:
    """Returns whether one of the statements allows it; all of ours allow."""
    action, resource, service = need
    return any(
        any(fnmatchcase(action, each) for each in statement["Action"])
        and any(fnmatchcase(resource, each) for each in statement["Resource"])
        and statement.get("Condition", {}).get("StringEquals", {}).get("iam:PassedToService", service) == service
        for statement in statements
    )


def needs(service: str, operation: str, params: Mapping[str, Any], key: str) -> Iterator[Need]:
    """Yields what AWS asks IAM about when a call is made: the call, and what it does on the caller's behalf."""
    if service == "s3":
        yield from _of_s3(operation, params, key)
        return
    name = {"Invoke": "InvokeFunction"}.get(operation, operation)
    for resource in _resources(service, operation, params):
        yield f"{service}:{name}", resource, ""
        if params.get("Tags") or params.get("tags"):
            is_emr = service == "elasticmapreduce"
            yield f"{service}:{'AddTags' if is_emr else 'TagResource'}", _CLUSTER if is_emr else resource, ""
    for role, served in _roles(service, params):
        arn = role if role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT}:role/{role}"
        yield "iam:PassRole", arn, f"{served}.amazonaws.com"
    if operation == "CreateApplication":
        role = "ops.emr-serverless.amazonaws.com/AWSServiceRoleForAmazonEMRServerless"
        yield "iam:CreateServiceLinkedRole", f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{role}", ""
    if operation == "CreateFunction":
        yield "s3:GetObject", f"arn:aws:s3:::{params['Code']['S3Bucket']}/{params['Code']['S3Key']}", ""
    if operation == "StartQueryExecution":
        yield from _of_query(params)


def _of_s3(operation: str, params: Mapping[str, Any], key: str) -> Iterator[Need]:
    bucket = f"arn:aws:s3:::{params['Bucket']}"
    keys = [params.get("Key"), *(each["Key"] for each in params.get("Delete", {}).get("Objects", ()))]
    found = [f"{bucket}/{name}" for name in keys if name is not None]
    action = _S3[operation]
    for resource in found or [bucket]:
        yield f"s3:{action}", resource, ""
    source = params.get("CopySource")
    if source is not None:
        yield "s3:GetObject", f"arn:aws:s3:::{source['Bucket']}/{source['Key']}", ""
    if found and action == "PutObject":
        yield "kms:GenerateDataKey", key, ""
    if found and (action == "GetObject" or operation in {"CompleteMultipartUpload", "CopyObject"}):
        yield "kms:Decrypt", key, ""
    if operation == "CreateMultipartUpload":  # what a cut upload needs
        yield "s3:AbortMultipartUpload", found[0], ""


def _of_query(params: Mapping[str, Any]) -> Iterator[Need]:
    """Yields what Athena does as the caller: https://docs.aws.amazon.com/athena/latest/ug/s3-permissions.html ."""
    results = params.get("ResultConfiguration", {}).get("OutputLocation", "s3://rheo-shop/athena/")
    bucket, _, prefix = results.removeprefix("s3://").partition("/")
    for action in ("GetBucketLocation", "ListBucket", "ListBucketMultipartUploads"):
        yield f"s3:{action}", f"arn:aws:s3:::{bucket}", ""
    for action in ("PutObject", "GetObject", "AbortMultipartUpload", "ListMultipartUploadParts"):
        yield f"s3:{action}", f"arn:aws:s3:::{bucket}/{prefix}result.csv", ""
    database = params["QueryExecutionContext"]["Database"]
    for name in ("default", database):
        yield "glue:GetDatabase", _glue(f"database/{name}"), ""
    for action in ("GetTable", "GetTables", "GetPartitions"):
        yield f"glue:{action}", _glue(f"table/{database}/orders"), ""
    yield "glue:GetTable", _glue("catalog"), ""


def _resources(service: str, operation: str, params: Mapping[str, Any]) -> list[str]:
    if service == "athena":
        group = params.get("WorkGroup", "primary")
        return [f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{group}"]
    if service == "glue":
        return [_glue(each) for each in _glue_resources(operation, params)]
    if service == "lambda":
        return [f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{params['FunctionName']}"]
    if service == "emr-serverless":
        below = f"applications/{params['applicationId']}" if "applicationId" in params else ""
        return [f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/{below}"]
    if service == "elasticmapreduce" and operation not in {"RunJobFlow", "ListClusters"}:
        return [_CLUSTER]
    return ["*"]


def _glue_resources(operation: str, params: Mapping[str, Any]) -> list[str]:
    if operation == "ListJobs":
        return ["*"]
    if "Job" in operation:
        return [f"job/{params.get('JobName') or params['Name']}"]
    database = params.get("DatabaseName") or params.get("Name") or params.get("DatabaseInput", {}).get("Name", "*")
    table = params.get("Name") if "DatabaseName" in params else params.get("TableInput", {}).get("Name")
    table = table or params.get("TableInput", {}).get("Name")
    extra = [f"userDefinedFunction/{database}/*"] if operation == "DeleteDatabase" else []
    return ["catalog", f"database/{database}", *([f"table/{database}/{table}"] if table else []), *extra]


def _glue(resource: str) -> str:
    return "*" if resource == "*" else f"arn:aws:glue:{REGION}:{ACCOUNT}:{resource}"


def _roles(service: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "Role" in params and service in {"glue", "lambda"}:
        yield params["Role"], service
    if "Role" in params.get("JobUpdate", {}):
        yield params["JobUpdate"]["Role"], "glue"
    if "executionRoleArn" in params:
        yield params["executionRoleArn"], "emr-serverless"
    if "JobFlowRole" in params:
        yield params["JobFlowRole"], "ec2"
        yield params["ServiceRole"], "elasticmapreduce"
