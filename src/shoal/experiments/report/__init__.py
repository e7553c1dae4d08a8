"""The report of a comparison: one HTML file, and tables for papers and other programs."""
