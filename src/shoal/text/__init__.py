"""Texts of items → vectors: templates, embedders, and the vectors on disk."""
