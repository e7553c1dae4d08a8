"""The one training loop, and what networks on sparse rows are made of. Needs torch (``deep``)."""
