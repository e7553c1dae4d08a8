"""Splits of a log into what is learned from and what is held out."""
