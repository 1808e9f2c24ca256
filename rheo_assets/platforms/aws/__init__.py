"""The AWS platform: S3, the Glue Data Catalog, and engines that run in the account."""
