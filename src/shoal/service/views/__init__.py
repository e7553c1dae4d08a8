"""The pages that people look at: one file for each, `rendering` for what they share."""
