"""Parameters of AWS's own calls that are not hints, and what to write instead.

They are the parameters of Glue's `CreateJob` and `StartJobRun` and of EMR's `RunJobFlow` in botocore's models
(glue/2017-03-31, emr/2009-03-31). The list is here because a declaration does not need boto3; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ROLE: Final = "Give the role to the platform: AwsPlatform(role=…)"
_NAMED: Final = "Remove it: jobs are named after their node"
_ARGUMENTS: Final = (
    "Give the code's arguments by their own names; Glue's own are engine_options={'glue': {'arguments': …}}"
)
_CODE: Final = "Remove it: the target's code is what runs"
_RELEASE: Final = "Write RuntimeConfig='emr-7.9.0'"
_OPTION: Final = "Set it for all nodes: AwsPlatform(engine_options={{{}}})"
_LEFT_OUT: Final = "Remove it: a node cannot set it"

_SAID_ELSEWHERE: Final[Mapping[str, str]] = {
    "AllocatedCapacity": "Write MaxCapacity, or WorkerType and NumberOfWorkers",
    "AmiVersion": _RELEASE,
    "Arguments": _ARGUMENTS,
    "BootstrapActions": _OPTION.format("'emr': {'bootstrap_actions': …}"),
    "Command": _CODE,
    "Configurations": _OPTION.format("'emr': {'configurations': …}"),
    "Connections": _OPTION.format("'glue': {'connections': …}"),
    "DefaultArguments": _ARGUMENTS,
    "Instances": "Write InstanceConfig={'InstanceCount': 3, 'InstanceType': 'm5.xlarge'}",
    "JobFlowRole": _ROLE,
    "JobName": _NAMED,
    "MaxRetries": "Write retry_count",
    "Name": _NAMED,
    "NumWorkers": "Write NumberOfWorkers",  # not a parameter of AWS, but a common mistake
    "ReleaseLabel": _RELEASE,
    "Role": _ROLE,
    "SecurityConfiguration": _OPTION.format("'glue': {'security_configuration': …}"),
    "ServiceRole": _OPTION.format("'emr': {'service_role': …}"),
    "StepExecutionRoleArn": _ROLE,
    "Steps": _CODE,
    "Tags": _OPTION.format("'glue': {'tags': …}"),
}
_NOWHERE: Final = (
    "AdditionalInfo", "Applications", "AutoScalingRole", "AutoTerminationPolicy", "CodeGenConfigurationNodes",
    "CustomAmiId", "Description", "EbsRootVolumeIops", "EbsRootVolumeSize", "EbsRootVolumeThroughput",
    "ExecutionClass", "ExecutionProperty", "ExecutionRoleSessionPolicy", "ExtendedSupport", "JobMode", "JobRunId",
    "JobRunQueuingEnabled", "KerberosAttributes", "LogEncryptionKmsKeyId", "LogUri", "MaintenanceWindow",
    "ManagedScalingPolicy", "MonitoringConfiguration", "NewSupportedProducts", "NonOverridableArguments",
    "NotificationProperty", "OSReleaseLabel", "PlacementGroupConfigs", "RepoUpgradeOnBoot", "ScaleDownBehavior",
    "SessionEnabled", "SourceControlDetails", "StepConcurrencyLevel", "SupportedProducts", "VisibleToAllUsers",
)  # fmt: skip

PARAMETERS: Final[Mapping[str, str]] = {**_SAID_ELSEWHERE, **dict.fromkeys(_NOWHERE, _LEFT_OUT)}
"""The names of the parameters, each with its remedy."""
