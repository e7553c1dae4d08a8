"""From a log in any file to `Interactions`; ids, items and their vectors."""
