"""The version, read by the build and by ``shoal --version``."""

__version__ = "0.1.0.dev0"
