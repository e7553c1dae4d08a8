"""One file per published model, and the contract `Recommender` that all obey."""
