"""Maps of the catalogue: its items in two dimensions, and the pictures and pages that show them."""
