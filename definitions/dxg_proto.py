"""Example 1 as a code location: a daily timer, an external dataset, a Scala node.

Only the import lines differ from RheocerOS. On a laptop set `RHEO_PLATFORM=local`. `examples/dxg_proto/` runs it.
"""

import logging

import rheo_assets as flow
from rheo_assets import *

log = flow.init_basic_logging(root_level=logging.WARN)

app = AWSApplication("dxg-proto", "us-east-1")

timer_signal_daily = app.add_timer(
    id="daily_timer",
    schedule_expression="rate(1 day)",  # you can use CRON here as well
    time_dimension_id="day",
)

pdex = app.marshal_external_data(
    external_data_desc=S3Dataset(
        "111222333444",
        "dxg-dev-external-data-poc",
        "pdex",
        # placeholder for 'region'
        "{}",
        # placeholder for 'day'
        "{}",
        dataset_format=DataFormat.JSON,
    ),
    # in spark code, this will be the default DataFrame name/alias
    id="pdex",
    dimension_spec={
        # dimension 1
        "region": {
            "type": DimensionType.STRING,
            # dimension 2
            "day": {
                "type": DimensionType.DATETIME,
                "granularity": DatetimeGranularity.DAY,  # redundant: DAY is the default
                "format": "%Y-%m-%d",  # the day in the path, such as 2021-06-21
            },
        }
    },
    # a partition is ready when this file exists
    protocol=SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"}),
)

tpdex = app.create_data(
    id="tpdex",  # default DataFrame name in downstream nodes
    inputs=[
        # ref: an arrival is no event; range_check: wait until the partition of the timer's day is ready
        pdex["NA"]["*"].ref.range_check(True),
        timer_signal_daily,
    ],
    compute_targets=[
        BatchCompute(
            scala_script(
                """
                                          pdex
                                            .filter(
                                              (col("addressId") isNotNull)
                                                && (col("requestId") isNotNull)
                                                && (col("asin") isNotNull)
                                                && (col("entityId") isNotNull)
                                                && (col("deliveryOption") isNotNull)
                                            )
                                            .select(
                                              pdex.col("*"),
                                              explode(col("deliveryOption")).as("flatDeliveryOption")
                                            )
                                            .select(
                                              "datestamp",
                                              "entityId",
                                              "requestId",
                                              "marketplaceId",
                                              "asin",
                                              "sessionId",
                                              "merchant_id",
                                              "client_id",
                                              "addressId",
                                              "offerSku"
                                            )
                                            .distinct()
                                               """
                # , external_library_paths=["s3://BUCKET_FOR_JAR/FOLDER/SUPER-JAR-NAME.jar"]
            ),
            lang=Lang.SCALA,
            GlueVersion="2.0",
            # Glue job parameters (see the boto API)
            WorkerType=GlueWorkerType.G_1X.value,
            NumberOfWorkers=50,
        )
    ],
)

defs = app.definitions()
