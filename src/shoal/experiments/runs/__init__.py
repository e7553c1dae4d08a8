"""Runs of experiment files: the folder that a run leaves, how it goes on after a kill, and what
can be asked of it afterwards."""
