"""PySpark, Scala and Spark SQL as jobs of Glue, EMR Serverless and EMR."""
