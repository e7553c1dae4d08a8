"""Model folders: written whole or not at all, checked before they are used, without pickle.

manifest.json        format version, model, hyper-parameters, data fingerprint, metrics,
                     sha256 and size of every other file
arrays.safetensors   fitted arrays
items.parquet        ids and attributes, in the order of the arrays
users.parquet        ids of the training users, for models that know them (those that rate)
"""

from shoal.artifact.manifest import read_manifest
from shoal.artifact.reading import load, verify
from shoal.artifact.writing import check_target, save

__all__ = ["check_target", "load", "read_manifest", "save", "verify"]
