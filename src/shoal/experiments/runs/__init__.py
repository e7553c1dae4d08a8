"""Runs of experiment files: their folders, how they go on after a kill, and what they tell."""
