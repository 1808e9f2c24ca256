"""AWS: data on S3, code on the account's engines. The account, region and credentials are the environment's.

`RHEO_ROLE` is the ARN of the IAM role that jobs and functions run as. Nothing is asked of AWS before a node needs it.
A code location takes both: `app = Application("shop", platform=aws.platform)`, `app.definitions(aws.resources)`.
"""

from __future__ import annotations

import os

from dagster_aws.s3 import S3Resource

from rheo_assets import AwsPlatform
from rheo_assets.bridge.resources import AthenaResource, GlueResource

platform = AwsPlatform(os.environ.get("AWS_ACCOUNT_ID"))

resources = {
    # A team's own assets reach the same objects.
    "s3": S3Resource(region_name=platform.region),
    # How this deployment's nodes run, where they say nothing themselves.
    "glue": GlueResource(worker_type="G.1X", workers=5),
    "athena": AthenaResource(workgroup="primary"),
}
