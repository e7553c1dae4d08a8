"""Protocols, metrics and significance, over the contract."""
