"""What a job has cost, as an estimate from the list prices of one region.

Prices are those of us-east-1, on demand, in US dollars, without discounts, taxes, storage and traffic. Elsewhere they
differ by some per cent; the bill is what counts.
"""

from __future__ import annotations

from typing import Final

REGION: Final = "us-east-1"

# https://aws.amazon.com/glue/pricing/
GLUE_DPU_HOUR: Final = 0.44
GLUE_MEMORY_DPU_HOUR: Final = 0.52  # R.1X and larger
GLUE_LEAST_SECONDS: Final = 60.0

# https://aws.amazon.com/emr/pricing/ (EMR Serverless, x86)
SERVERLESS_VCPU_HOUR: Final = 0.052624
SERVERLESS_GB_HOUR: Final = 0.0057785
SERVERLESS_STORAGE_GB_HOUR: Final = 0.000111

# https://aws.amazon.com/emr/pricing/ and https://aws.amazon.com/ec2/pricing/on-demand/: EMR's share and EC2's own
EMR_INSTANCE_HOUR: Final = {
    "m5.xlarge": 0.048 + 0.192,
    "m5.2xlarge": 0.096 + 0.384,
    "m5.4xlarge": 0.192 + 0.768,
    "m6g.xlarge": 0.0385 + 0.154,
    "c5.xlarge": 0.043 + 0.17,
    "c5.2xlarge": 0.085 + 0.34,
    "r5.xlarge": 0.063 + 0.252,
    "r5.2xlarge": 0.126 + 0.504,
}
EMR_LEAST_SECONDS: Final = 60.0

_DPUS: Final = {
    "Standard": 1.0,
    "G.025X": 0.25,
    **{f"G.{size}X": float(size) for size in (1, 2, 4, 8, 12, 16)},
    **{f"R.{size}X": float(size) for size in (1, 2, 4, 8)},
}


def dpus(worker_type: str, workers: int) -> float:
    """Returns how many DPUs (M-DPUs for R types) the workers are.

    >>> dpus("G.2X", 5)
    10.0
    """
    return _DPUS.get(worker_type, 1.0) * workers


def glue_dollars(dpu_seconds: float, seconds: float, worker_type: str) -> float:
    """Returns the estimate for a run of Glue, which bills a minute at least.

    >>> glue_dollars(20 * 600.0, 600.0, "G.1X")
    1.4667
    """
    rate = GLUE_MEMORY_DPU_HOUR if worker_type.startswith("R.") else GLUE_DPU_HOUR
    billed = dpu_seconds * max(1.0, GLUE_LEAST_SECONDS / seconds) if seconds else 0.0
    return round(billed / 3600 * rate, 4)


def serverless_dollars(vcpu_hours: float, memory_gb_hours: float, storage_gb_hours: float) -> float:
    """Returns the estimate for a run of EMR Serverless.

    >>> serverless_dollars(4, 16, 0)
    0.303
    """
    cost = vcpu_hours * SERVERLESS_VCPU_HOUR + memory_gb_hours * SERVERLESS_GB_HOUR
    return round(cost + storage_gb_hours * SERVERLESS_STORAGE_GB_HOUR, 4)


def emr_dollars(instance_type: str, instances: int, seconds: float) -> float | None:
    """Returns the estimate for a cluster, or None where the price of its instances is not known here.

    >>> emr_dollars("m5.xlarge", 3, 3600.0)
    0.72
    """
    rate = EMR_INSTANCE_HOUR.get(instance_type)
    return None if rate is None else round(rate * instances * max(seconds, EMR_LEAST_SECONDS) / 3600, 4)
