"""shoal: recommenders built from autoencoders.

The names below, and the model classes by name (``shoal.EASE``, ``shoal.RDLAE``, ...), are the
public face. They are imported when first used, so that ``import shoal`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from shoal._version import __version__

if TYPE_CHECKING:
    from shoal.approximate import Index as Index
    from shoal.approximate import build_index as build_index
    from shoal.approximate import load_index as load_index
    from shoal.approximate import save_index as save_index
    from shoal.artifact import load as load
    from shoal.artifact import save as save
    from shoal.data.generate import generate as generate
    from shoal.data.interactions import Interactions as Interactions
    from shoal.data.read import read as read
    from shoal.data.split import HeldOut as HeldOut
    from shoal.data.split import Split as Split
    from shoal.data.split import given as given
    from shoal.data.split import split as split
    from shoal.data.split_ratings import RatingSplit as RatingSplit
    from shoal.data.split_ratings import given_ratings as given_ratings
    from shoal.data.split_ratings import split_ratings as split_ratings
    from shoal.dissimilar import dissimilar as dissimilar
    from shoal.errors import ShoalError as ShoalError
    from shoal.evaluation.evaluate import Evaluation as Evaluation
    from shoal.evaluation.evaluate import evaluate as evaluate
    from shoal.evaluation.ratings import RatingEvaluation as RatingEvaluation
    from shoal.evaluation.ratings import evaluate_ratings as evaluate_ratings
    from shoal.experiment import compare as compare
    from shoal.maps import ItemMap as ItemMap
    from shoal.maps import item_map as item_map
    from shoal.models.add_ease import AddEASE as AddEASE
    from shoal.models.admm_slim import ADMMSLIM as ADMMSLIM
    from shoal.models.autorec import IAutoRec as IAutoRec
    from shoal.models.autorec import UAutoRec as UAutoRec
    from shoal.models.cdae import CDAE as CDAE
    from shoal.models.cease import CEASE as CEASE
    from shoal.models.compressed_elsa import CompressedELSA as CompressedELSA
    from shoal.models.contract import Recommender as Recommender
    from shoal.models.deeprec import DeepRec as DeepRec
    from shoal.models.dlae import DLAE as DLAE
    from shoal.models.ease import EASE as EASE
    from shoal.models.ease_text import EASEText as EASEText
    from shoal.models.edlae import EDLAE as EDLAE
    from shoal.models.elsa import ELSA as ELSA
    from shoal.models.flvae import FLVAE as FLVAE
    from shoal.models.gf_cf import GFCF as GFCF
    from shoal.models.hvamp import HVamp as HVamp
    from shoal.models.item_knn import ItemKNN as ItemKNN
    from shoal.models.l3ae import L3AE as L3AE
    from shoal.models.lae import LAE as LAE
    from shoal.models.mrf import MRF as MRF
    from shoal.models.mult_dae import MultDAE as MultDAE
    from shoal.models.mult_vae import MultVAE as MultVAE
    from shoal.models.nease import NEASE as NEASE
    from shoal.models.popularity import Popularity as Popularity
    from shoal.models.product import Product as Product
    from shoal.models.pruned_ease import PrunedEASE as PrunedEASE
    from shoal.models.rdlae import RDLAE as RDLAE
    from shoal.models.recvae import RecVAE as RecVAE
    from shoal.models.rlae import RLAE as RLAE
    from shoal.models.slim import SLIM as SLIM
    from shoal.models.spectral import SpectralEASE as SpectralEASE
    from shoal.models.svae import SVAE as SVAE
    from shoal.models.text_similarity import TextSimilarity as TextSimilarity
    from shoal.models.turbo_cf import TurboCF as TurboCF
    from shoal.models.vasp import VASP as VASP
    from shoal.planning import Plan as Plan
    from shoal.planning import plan as plan
    from shoal.policy import read_policy as read_policy
    from shoal.predicting import predict as predict
    from shoal.recommending import recommend as recommend
    from shoal.recommending import recommend_all as recommend_all
    from shoal.recommending import similar as similar
    from shoal.report.maps import write_map as write_map
    from shoal.run import Run as Run
    from shoal.text.embed import embed as embed
    from shoal.text.vectors import Vectors as Vectors
    from shoal.tuning import tune as tune

_WHERE = {
    "Evaluation": "shoal.evaluation.evaluate",
    "HeldOut": "shoal.data.split",
    "Index": "shoal.approximate",
    "Interactions": "shoal.data.interactions",
    "ItemMap": "shoal.maps",
    "Plan": "shoal.planning",
    "RatingEvaluation": "shoal.evaluation.ratings",
    "RatingSplit": "shoal.data.split_ratings",
    "Recommender": "shoal.models.contract",
    "Run": "shoal.run",
    "ShoalError": "shoal.errors",
    "Split": "shoal.data.split",
    "Vectors": "shoal.text.vectors",
    "build_index": "shoal.approximate",
    "compare": "shoal.experiment",
    "dissimilar": "shoal.dissimilar",
    "embed": "shoal.text.embed",
    "evaluate": "shoal.evaluation.evaluate",
    "evaluate_ratings": "shoal.evaluation.ratings",
    "generate": "shoal.data.generate",
    "given": "shoal.data.split",
    "given_ratings": "shoal.data.split_ratings",
    "item_map": "shoal.maps",
    "load": "shoal.artifact",
    "load_index": "shoal.approximate",
    "plan": "shoal.planning",
    "predict": "shoal.predicting",
    "read": "shoal.data.read",
    "read_policy": "shoal.policy",
    "recommend": "shoal.recommending",
    "recommend_all": "shoal.recommending",
    "save": "shoal.artifact",
    "save_index": "shoal.approximate",
    "similar": "shoal.recommending",
    "split": "shoal.data.split",
    "split_ratings": "shoal.data.split_ratings",
    "tune": "shoal.tuning",
    "write_map": "shoal.report.maps",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    if name[:1].isupper():  # a model's class: found by its file, not listed here
        from shoal.models.registry import models

        for model in models().values():
            if model.__name__ == name:
                return model
    raise AttributeError(f"module 'shoal' has no attribute {name!r}")


def __dir__() -> list[str]:
    from shoal.models.registry import models

    return sorted({"__version__", *_WHERE, *(m.__name__ for m in models().values())})


__all__ = ["__version__", *sorted(_WHERE)]  # noqa: PLE0604 - names, from the table above
