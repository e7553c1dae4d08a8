"""VASP: p = σ(R·f(z)) ∘ σ(L·z) ∘ σ(xW), a focal-loss VAE times a linear model."""

from __future__ import annotations

from typing import Any, ClassVar

from shoal.models.product import Product


class VASP(Product):
    """Variational autoencoder and shallow autoencoder in one (Vančura and Kordík, RecSys 2021).

    The `product` of FLVAE and NEASE, trained jointly, alternating or as an ensemble, on all items
    (the authors' notebook keeps only the most popular third). The default widths suit data of
    MovieLens-1M's size; the preset "paper" has those of the notebook.
    """

    name: ClassVar[str] = "vasp"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "parts": "flvae(preset=paper)+nease(loss=focal)", "lr": 5e-5, "batch_size": 1024,
        }
    }  # fmt: skip
