"""shoal: recommenders built from autoencoders.

The names below, and the model classes by name (``shoal.EASE``, ``shoal.RDLAE``, ...), are the
public face. They are imported when first used, so that ``import shoal`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from shoal import forks as _forks  # noqa: F401 - notes which threads run before a fork
from shoal._version import __version__

if TYPE_CHECKING:
    from shoal.artifact import load as load
    from shoal.artifact import save as save
    from shoal.base.recommender import Recommender as Recommender
    from shoal.data.bucketing import bucket as bucket
    from shoal.data.interactions import Interactions as Interactions
    from shoal.data.read import read as read
    from shoal.data.vectors import Vectors as Vectors
    from shoal.datasets.synthetic import generate as generate
    from shoal.errors import ShoalError as ShoalError
    from shoal.evaluation.evaluate import Evaluation as Evaluation
    from shoal.evaluation.evaluate import evaluate as evaluate
    from shoal.evaluation.lists import evaluate_lists as evaluate_lists
    from shoal.evaluation.ratings import RatingEvaluation as RatingEvaluation
    from shoal.evaluation.ratings import evaluate_ratings as evaluate_ratings
    from shoal.experiments.comparison.compare import compare as compare
    from shoal.experiments.plan import Plan as Plan
    from shoal.experiments.plan import plan as plan
    from shoal.experiments.tuning.tune import tune as tune
    from shoal.inference.complement import complement as complement
    from shoal.inference.explain import Explanation as Explanation
    from shoal.inference.explain import explain as explain
    from shoal.inference.index import Index as Index
    from shoal.inference.index import build_index as build_index
    from shoal.inference.index_files import load_index as load_index
    from shoal.inference.index_files import save_index as save_index
    from shoal.inference.predict import predict as predict
    from shoal.inference.rank import rank as rank
    from shoal.inference.recommend import recommend as recommend
    from shoal.inference.recommend import recommend_all as recommend_all
    from shoal.inference.similar import dissimilar as dissimilar
    from shoal.inference.similar import similar as similar
    from shoal.maps.item_map import ItemMap as ItemMap
    from shoal.maps.item_map import item_map as item_map
    from shoal.maps.write import write_map as write_map
    from shoal.policy import read_policy as read_policy
    from shoal.run import Run as Run
    from shoal.splitting.held_out import HeldOut as HeldOut
    from shoal.splitting.held_out import Split as Split
    from shoal.splitting.ratings import RatingSplit as RatingSplit
    from shoal.splitting.ratings import split_given_ratings as split_given_ratings
    from shoal.splitting.ratings import split_ratings as split_ratings
    from shoal.splitting.split import split as split
    from shoal.splitting.split import split_given as split_given
    from shoal.steering.cost import steered_list as steered_list
    from shoal.steering.cost import steering_cost as steering_cost
    from shoal.steering.knobs import Knobs as Knobs
    from shoal.steering.knobs import knobs as knobs
    from shoal.text.embed import embed as embed

if TYPE_CHECKING:  # models: this block is written by docs/build.py
    from shoal.models.add_ease import AddEASE as AddEASE
    from shoal.models.admm_slim import ADMMSLIM as ADMMSLIM
    from shoal.models.autorec import IAutoRec as IAutoRec
    from shoal.models.autorec import UAutoRec as UAutoRec
    from shoal.models.blend import Blend as Blend
    from shoal.models.bspm import BSPM as BSPM
    from shoal.models.cdae import CDAE as CDAE
    from shoal.models.cease import CEASE as CEASE
    from shoal.models.chebycf import ChebyCF as ChebyCF
    from shoal.models.compressed_elsa import CompressedELSA as CompressedELSA
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
    from shoal.models.low_pass_rdlae import LowPassRDLAE as LowPassRDLAE
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
    from shoal.models.rp3beta import RP3Beta as RP3Beta
    from shoal.models.rvae import RVAE as RVAE
    from shoal.models.slim import SLIM as SLIM
    from shoal.models.spectral import SpectralEASE as SpectralEASE
    from shoal.models.svae import SVAE as SVAE
    from shoal.models.text_similarity import TextSimilarity as TextSimilarity
    from shoal.models.turbo_cf import TurboCF as TurboCF
    from shoal.models.two_stage import TwoStage as TwoStage
    from shoal.models.vasp import VASP as VASP

_WHERE = {
    "Evaluation": "shoal.evaluation.evaluate",
    "Explanation": "shoal.inference.explain",
    "HeldOut": "shoal.splitting.held_out",
    "Index": "shoal.inference.index",
    "Interactions": "shoal.data.interactions",
    "ItemMap": "shoal.maps.item_map",
    "Knobs": "shoal.steering.knobs",
    "Plan": "shoal.experiments.plan",
    "RatingEvaluation": "shoal.evaluation.ratings",
    "RatingSplit": "shoal.splitting.ratings",
    "Recommender": "shoal.base.recommender",
    "Run": "shoal.run",
    "ShoalError": "shoal.errors",
    "Split": "shoal.splitting.held_out",
    "Vectors": "shoal.data.vectors",
    "bucket": "shoal.data.bucketing",
    "build_index": "shoal.inference.index",
    "compare": "shoal.experiments.comparison.compare",
    "complement": "shoal.inference.complement",
    "dissimilar": "shoal.inference.similar",
    "embed": "shoal.text.embed",
    "evaluate": "shoal.evaluation.evaluate",
    "evaluate_lists": "shoal.evaluation.lists",
    "evaluate_ratings": "shoal.evaluation.ratings",
    "explain": "shoal.inference.explain",
    "generate": "shoal.datasets.synthetic",
    "split_given": "shoal.splitting.split",
    "split_given_ratings": "shoal.splitting.ratings",
    "item_map": "shoal.maps.item_map",
    "knobs": "shoal.steering.knobs",
    "load": "shoal.artifact",
    "load_index": "shoal.inference.index_files",
    "plan": "shoal.experiments.plan",
    "predict": "shoal.inference.predict",
    "rank": "shoal.inference.rank",
    "read": "shoal.data.read",
    "read_policy": "shoal.policy",
    "recommend": "shoal.inference.recommend",
    "recommend_all": "shoal.inference.recommend",
    "save": "shoal.artifact",
    "save_index": "shoal.inference.index_files",
    "similar": "shoal.inference.similar",
    "split": "shoal.splitting.split",
    "split_ratings": "shoal.splitting.ratings",
    "steered_list": "shoal.steering.cost",
    "steering_cost": "shoal.steering.cost",
    "tune": "shoal.experiments.tuning.tune",
    "write_map": "shoal.maps.write",
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
