"""What is done with models: comparing, tuning and planning."""
