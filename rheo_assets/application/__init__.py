"""The façade: declares nodes and offers every verb of an application."""

from rheo_assets.application.application import Application, AWSApplication

__all__ = ["AWSApplication", "Application"]
