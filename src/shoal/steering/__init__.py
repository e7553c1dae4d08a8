"""Knobs: named groups of items, towards or away from which a person's list is turned."""
