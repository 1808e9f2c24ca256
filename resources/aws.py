"""AWS: data on S3, code on Athena, Glue, EMR and Lambda. Account, region and credentials come from the environment.

`RHEO_ROLE` is the ARN of the IAM role that jobs and functions run as. AWS is not called before a node needs it.
A code location uses both: `app = Application("shop", platform=aws.platform)`, `app.definitions(aws.resources)`.
"""

from __future__ import annotations

import os

from dagster_aws.s3 import S3Resource

from rheo_assets import AwsPlatform
from rheo_assets.bridge.resources import AthenaResource, GlueResource

platform = AwsPlatform(os.environ.get("AWS_ACCOUNT_ID"))

resources = {
    # For a team's own assets: the same objects.
    "s3": S3Resource(region_name=platform.region),
    # Defaults for nodes that set no hints of their own.
    "glue": GlueResource(worker_type="G.1X", workers=5),
    "athena": AthenaResource(workgroup="primary"),
}
