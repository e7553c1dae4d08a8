"""Public data sets, the invented catalogue of the demo, and synthetic logs of any size."""
