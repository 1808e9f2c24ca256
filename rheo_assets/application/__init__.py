"""The façade: declares nodes and offers every verb of an application."""

from rheo_assets.application.application import Application
from rheo_assets.application.aws_application import AWSApplication

__all__ = ["AWSApplication", "Application"]
