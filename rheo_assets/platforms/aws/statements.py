"""The statements of IAM policies: which calls each part of the library makes, and what AWS checks besides them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Place:
    """Where an application runs.

    Attributes:
        application: Its name.
        account: The account's id.
        region: The region.
        bucket: The application's bucket.
        kms_key: The KMS key that was named; None for none.
        options: The options of each engine that it uses: its `role` among them.
        tables: The tables of the Glue Data Catalog that were declared: `database.table`.
    """

    application: str
    account: str
    region: str
    bucket: str
    kms_key: str | None
    options: Mapping[str, Mapping[str, Any]]
    tables: frozenset[str] = frozenset()

    @property
    def partition(self) -> str:
        """The partition of ARNs: `aws` nearly everywhere."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, service: str, resource: str) -> str:
        """Returns the ARN of a resource of the account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def objects(self, path: str) -> str:
        """Returns the ARN of a bucket, or of objects in one."""
        return f"arn:{self.partition}:s3:::{path}"


@dataclass(frozen=True, slots=True)
class Statement:
    """What is allowed, on what.

    Attributes:
        sid: Its name in the policy.
        actions: Such as `s3:GetObject`.
        resources: ARNs.
        conditions: As IAM writes them.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the statement as IAM reads it."""
        said = {"Sid": self.sid, "Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}
        return {**said, "Condition": dict(self.conditions)} if self.conditions else said


def plain(text: str) -> str:
    """Returns the letters and digits of a text, which are all that a Sid may have."""
    return re.sub(r"[^A-Za-z0-9]", "", text)


def of_bucket(place: Place) -> Iterator[Statement]:
    """Yields what the driver needs of the account and of the application's bucket."""
    bucket = place.objects(place.bucket)
    settings = ("BucketPublicAccessBlock", "EncryptionConfiguration", "LifecycleConfiguration")
    changes = tuple(f"s3:{verb}{name}" for name in settings for verb in ("Get", "Put"))  # read before they are set
    yield Statement("Account", ("sts:GetCallerIdentity",), ("*",))
    yield Statement("BucketSettings", ("s3:CreateBucket", *changes), (bucket,))
    yield from of_data(place)


def of_data(place: Place) -> Iterator[Statement]:
    """Yields what reads and writes the application's own objects; large ones are written in parts."""
    bucket = place.objects(place.bucket)
    yield Statement("Bucket", ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"), (bucket,))
    verbs = ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    yield Statement("Objects", tuple(f"s3:{verb}" for verb in verbs), (f"{bucket}/*",))


def of_inputs(place: Place, places: Sequence[str]) -> Iterator[Statement]:
    """Yields what reads data that others write: `bucket/folder`."""
    if places:
        buckets = tuple(sorted({place.objects(each.partition("/")[0]) for each in places}))
        yield Statement("InputBuckets", ("s3:ListBucket", "s3:GetBucketLocation"), buckets)
        yield Statement("Inputs", ("s3:GetObject",), tuple(place.objects(f"{each}/*") for each in places))


def of_catalog(place: Place) -> Iterator[Statement]:
    """Yields what reads tables when they are declared; Glue wants the catalog, the database and the table."""
    if place.tables:
        names = sorted(tuple(table.partition(".")[::2]) for table in place.tables)
        databases = sorted({f"database/{database}" for database, _ in names})
        resources = ("catalog", *databases, *(f"table/{database}/{table}" for database, table in names))
        yield Statement("Tables", ("glue:GetTable",), tuple(place.arn("glue", each) for each in resources))


def of_key(place: Place) -> Iterator[Statement]:
    """Yields what uses the KMS key that was named."""
    if place.kms_key is None:
        return
    actions = ("kms:Decrypt", "kms:GenerateDataKey")
    if place.kms_key.startswith("alias/"):
        condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": place.kms_key}}
        yield Statement("Key", actions, (place.arn("kms", "key/*"),), condition)
    else:
        key = place.kms_key if place.kms_key.startswith("arn:") else place.arn("kms", f"key/{place.kms_key}")
        yield Statement("Key", actions, (key,))


def of_logs(place: Place, engines: Sequence[str]) -> Iterator[Statement]:
    """Yields where jobs and functions write their logs."""
    groups = {"glue": "/aws-glue/*", "lambda": f"/aws/lambda/{_functions(place)}*"}
    used = [groups[engine] for engine in engines if engine in groups]
    if used:
        actions = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
        yield Statement("Logs", actions, tuple(place.arn("logs", f"log-group:{group}") for group in used))


def of_passed_roles(place: Place, roles: Mapping[str, str], services: Mapping[str, str]) -> Iterator[Statement]:
    """Yields what hands roles to services: each role only to the service that runs as it."""
    for engine, role in roles.items():
        condition = {"StringEquals": {"iam:PassedToService": services[engine]}}
        arn = role if role.startswith("arn:") else f"arn:{place.partition}:iam::{place.account}:role/{role}"
        yield Statement(f"PassRoleTo{plain(engine).capitalize()}", ("iam:PassRole",), (arn,), condition)


def _athena(place: Place) -> Iterator[Statement]:
    options = place.options.get("athena", {})
    verbs = ("StartQueryExecution", "StopQueryExecution", "GetQueryExecution", "BatchGetQueryExecution")
    actions = tuple(f"athena:{verb}" for verb in ("GetWorkGroup", *verbs, "GetQueryResults"))
    yield Statement("Queries", actions, (place.arn("athena", f"workgroup/{options.get('workgroup', 'primary')}"),))
    made = ("catalog", "database/rheo_*", "table/rheo_*/*", "userDefinedFunction/rheo_*/*")
    changes = ("CreateDatabase", "DeleteDatabase", "GetDatabase", "CreateTable", "UpdateTable", "DeleteTable")
    actions = tuple(f"glue:{verb}" for verb in (*changes, "GetTable", "GetTables", "GetPartitions"))
    yield Statement("QueryTables", actions, tuple(place.arn("glue", each) for each in made))
    yield Statement("DefaultDatabase", ("glue:GetDatabase",), (place.arn("glue", "database/default"),))
    results = str(options.get("output_location", "")).removeprefix("s3://").rstrip("/")
    if results:
        bucket = place.objects(results.partition("/")[0])
        yield Statement("ResultsBucket", ("s3:ListBucket", "s3:GetBucketLocation"), (bucket,))
        on_objects = ("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
        yield Statement("Results", tuple(f"s3:{verb}" for verb in on_objects), (place.objects(f"{results}/*"),))


def _glue(place: Place) -> Iterator[Statement]:
    verbs = ("GetJob", "CreateJob", "UpdateJob", "DeleteJob", "TagResource")
    runs = ("StartJobRun", "GetJobRun", "GetJobRuns", "BatchStopJobRun")
    jobs = place.arn("glue", f"job/rheo-{place.application}-*")
    yield Statement("Jobs", tuple(f"glue:{verb}" for verb in (*verbs, *runs)), (jobs,))
    yield Statement("JobNames", ("glue:ListJobs",), ("*",))


def _lambda(place: Place) -> Iterator[Statement]:
    verbs = ("CreateFunction", "GetFunctionConfiguration", "PutFunctionEventInvokeConfig", "InvokeFunction")
    functions = place.arn("lambda", f"function:{_functions(place)}*")
    yield Statement("Functions", tuple(f"lambda:{verb}" for verb in (*verbs, "TagResource")), (functions,))


def _functions(place: Place) -> str:
    return f"rheo-{place.application[:40]}-"


def _emr_serverless(place: Place) -> Iterator[Statement]:
    verbs = ("ListApplications", "CreateApplication", "TagResource")
    applications = place.arn("emr-serverless", "/*")
    yield Statement("Applications", tuple(f"emr-serverless:{verb}" for verb in verbs), (applications,))
    on_runs = ("GetApplication", "StartJobRun", "GetJobRun", "ListJobRuns", "CancelJobRun")
    application = str(place.options.get("emr_serverless", {}).get("application_id") or "*")
    runs = place.arn("emr-serverless", f"/applications/{application}")
    yield Statement("JobRuns", tuple(f"emr-serverless:{verb}" for verb in on_runs), (runs, f"{runs}/jobruns/*"))
    role = "ops.emr-serverless.amazonaws.com/AWSServiceRoleForAmazonEMRServerless"
    linked = f"arn:{place.partition}:iam::{place.account}:role/aws-service-role/{role}"
    condition = {"StringLike": {"iam:AWSServiceName": "ops.emr-serverless.amazonaws.com"}}
    yield Statement("LinkedRole", ("iam:CreateServiceLinkedRole",), (linked,), condition)


def _emr(place: Place) -> Iterator[Statement]:
    yield Statement("NewClusters", ("elasticmapreduce:RunJobFlow", "elasticmapreduce:ListClusters"), ("*",))
    verbs = ("DescribeCluster", "TerminateJobFlows", "AddTags")
    clusters = place.arn("elasticmapreduce", "cluster/*")
    yield Statement("Clusters", tuple(f"elasticmapreduce:{verb}" for verb in verbs), (clusters,))
    role = str(place.options.get("emr", {}).get("service_role") or "EMR_DefaultRole_V2")
    arn = role if role.startswith("arn:") else f"arn:{place.partition}:iam::{place.account}:role/{role}"
    condition = {"StringEquals": {"iam:PassedToService": "elasticmapreduce.amazonaws.com"}}
    yield Statement("PassServiceRole", ("iam:PassRole",), (arn,), condition)


OF_ENGINES: Final[Mapping[str, Callable[[Place], Iterator[Statement]]]] = {
    "athena": _athena,
    "glue": _glue,
    "lambda": _lambda,
    "emr_serverless": _emr_serverless,
    "emr": _emr,
}
"""What the driver needs of each engine that an application uses."""
