"""Example 3 as a code location: one Glue table, read by Scala and by Python on several Glue versions.

The import lines differ from RheocerOS, and two mistakes of the original are corrected: its third node imports
`TrendFeaturesJob` but calls `TrendFeatureWorker`, and its jar is a placeholder. `examples/scala_python/` runs it,
and builds the jar from `TrendFeaturesJob.scala`.
"""

import rheo_assets as flow
from rheo_assets import *

flow.init_basic_logging()

app = AWSApplication("scala-python", "us-east-1")

d_ad_orders_na = app.glue_table("dex_ml_catalog", "d_ad_orders_na")

repeat_d_ad_orders_na_scala = app.create_data(
    id="REPEAT_AD_ORDERS_IN_SCALA",
    inputs=[d_ad_orders_na],
    compute_targets=[
        BatchCompute(
            scala_script("d_ad_orders_na.limit(100)"),
            lang=Lang.SCALA,
            GlueVersion="3.0",
            # Glue job parameters (see the boto API)
            WorkerType=GlueWorkerType.G_1X.value,
            NumberOfWorkers=50,
            Timeout=3 * 60,  # 3 hours
        )
    ],
)

repeat_d_ad_orders_na_python = app.create_data(
    id="REPEAT_AD_ORDERS_IN_PYTHON",
    inputs=[d_ad_orders_na],
    compute_targets=[
        BatchCompute(
            "output = d_ad_orders_na.limit(100)",
            GlueVersion="3.0",
            WorkerType=GlueWorkerType.G_1X.value,
            NumberOfWorkers=50,
            Timeout=3 * 60,  # 3 hours
        )
    ],
)

repeat_d_ad_orders_na_scala_complex = app.create_data(
    id="REPEAT_AD_ORDERS_IN_SCALA_COMPLEX",
    inputs=[d_ad_orders_na],
    compute_targets=[
        BatchCompute(
            scala_script(
                """import com.amazon.dexmlbladeglue.jobs.TrendFeaturesJob

                                                                    val order_day = dimensions("order_day")
                                                                    val my_param = args("my_param")
                                                                    // input dataframes are available both as local variables and also within
                                                                    // the spark context
                                                                    // other variables are also available (spark, inputs, inputTable, execParams)
                                                                    TrendFeaturesJob.main(args)
                                                                   """,
                external_library_paths=["s3://dex-ml-jars/trend-features.jar"],
            ),
            lang=Lang.SCALA,
            GlueVersion="2.0",
            WorkerType=GlueWorkerType.G_1X.value,
            NumberOfWorkers=50,
            Timeout=3 * 60,  # 3 hours
            my_param="PARAM1",
        )
    ],
)

defs = app.definitions()
