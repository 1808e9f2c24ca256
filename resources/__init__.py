"""The platform and Dagster resources of each deployment: one module per deployment."""
