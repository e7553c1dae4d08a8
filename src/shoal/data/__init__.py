"""From a log in any file to `Interactions`, and from those to honest splits."""
