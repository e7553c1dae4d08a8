"""The contract that every model implements, and base classes for families of models."""
