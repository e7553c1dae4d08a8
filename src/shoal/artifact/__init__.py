"""Model folders: written whole or not at all, checked before they are used, without pickle.

manifest.json        format version, model, hyper-parameters, data fingerprint, metrics,
                     sha256 and size of every other file
arrays.safetensors   fitted arrays
arrays-00000.safetensors, …    the blocks of an array that is in blocks, one in each file
items.parquet        ids and attributes, in the order of the arrays
users.parquet        ids of the training users, for models that know them (those that rate)

A store is a folder of such folders, the versions of a model, with a pointer to the live one.
"""

from shoal.artifact.pointer import is_store, live_folder
from shoal.artifact.reading import content_of, first_items, load, read_manifest, verify
from shoal.artifact.store import Store, check_new_store
from shoal.artifact.versions import Version
from shoal.artifact.writing import check_target, save

__all__ = [
    "Store",
    "Version",
    "check_new_store",
    "check_target",
    "content_of",
    "first_items",
    "is_store",
    "live_folder",
    "load",
    "read_manifest",
    "save",
    "verify",
]
