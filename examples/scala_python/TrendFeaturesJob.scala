package com.amazon.dexmlbladeglue.jobs

import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.functions.{count, lit, sum}

/** Stands for a team's own library. It reads its input from the tables of the Spark session. */
object TrendFeaturesJob {
  def main(args: Map[String, String]): DataFrame =
    SparkSession.active
      .table("d_ad_orders_na")
      .groupBy("asin")
      .agg(count(lit(1)).as("orders"), sum("quantity").as("quantity"))
      .withColumn("my_param", lit(args("my_param")))
}
