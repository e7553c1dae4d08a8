"""The contract that every model obeys, and what families of models share."""
