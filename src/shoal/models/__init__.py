"""One file per published model, and the registry that finds them."""
