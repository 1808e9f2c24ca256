"""The names in compute targets: languages, and the versions and worker types of AWS Glue."""

from __future__ import annotations

from enum import StrEnum


class Lang(StrEnum):
    """The language of a target's code."""

    PYTHON = "PYTHON"
    SCALA = "SCALA"
    SPARK_SQL = "SPARK_SQL"
    PRESTO_SQL = "PRESTO_SQL"


class ABI(StrEnum):
    """How batch code receives its inputs. There is one way: as variables in its namespace."""

    GLUE_EMBEDDED = "GLUE_EMBEDDED"


class GlueVersion(StrEnum):
    """Versions of AWS Glue; the local platform runs all of them on its own engine and logs that."""

    AUTO = "auto"
    VERSION_2_0 = "2.0"
    VERSION_3_0 = "3.0"
    VERSION_4_0 = "4.0"
    VERSION_5_0 = "5.0"
    VERSION_5_1 = "5.1"
    VERSION_6_0 = "6.0"


class GlueWorkerType(StrEnum):
    """Worker types of AWS Glue."""

    STANDARD = "Standard"
    G_025X = "G.025X"
    G_1X = "G.1X"
    G_2X = "G.2X"
    G_4X = "G.4X"
    G_8X = "G.8X"
    G_12X = "G.12X"
    G_16X = "G.16X"
    R_1X = "R.1X"
    R_2X = "R.2X"
    R_4X = "R.4X"
    R_8X = "R.8X"
