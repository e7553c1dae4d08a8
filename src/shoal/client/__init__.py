"""A client of the service that `shoal serve` runs: ``shoal.client.Client``."""

from shoal.client.client import Client

__all__ = ["Client"]
