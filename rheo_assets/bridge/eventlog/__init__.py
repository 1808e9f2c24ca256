"""The Dagster instance and its event log: how this library writes and reads them."""
