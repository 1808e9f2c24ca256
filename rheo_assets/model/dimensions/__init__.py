"""Dimensions: the named, typed coordinates of a signal, and the values on them.

A value is a `str`, an `int` or a naive `datetime` in UTC, already truncated to its dimension's granularity. A partition
is a tuple of values in spec order.
"""

from rheo_assets.model.dimensions.dimension import Dimension, DimensionType, Partition, Value, compared_equal
from rheo_assets.model.dimensions.granularity import DatetimeGranularity, utc_naive
from rheo_assets.model.dimensions.spec import DimensionSpec

__all__ = [
    "DatetimeGranularity",
    "Dimension",
    "DimensionSpec",
    "DimensionType",
    "Partition",
    "Value",
    "compared_equal",
    "utc_naive",
]
