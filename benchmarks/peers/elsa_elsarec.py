# mypy: ignore-errors
"""elsarec: the authors' own package; its fit, over a CSR matrix as its README has it."""

import itertools
import time

import deep_common as deep
import torch
from elsa import ELSA
from elsa.elsa import SparseMatrixDataset


class Clocked(torch.utils.data.DataLoader):
    """The loader that elsarec makes of a CSR matrix; notes when an epoch begins."""

    began = ()

    def __iter__(self):
        type(self).began = (*self.began, time.perf_counter())
        return super().__iter__()


bench = deep.Factors("elsarec", "elsarec")
torch.set_num_threads(bench.threads)
torch.manual_seed(0)
cpu = torch.device("cpu")
data = SparseMatrixDataset(bench.X, device=cpu)

with bench.timed("fit"):
    loader = Clocked(data, bench.batch, shuffle=True, collate_fn=torch.vstack)
    model = ELSA(n_items=bench.X.shape[1], n_dims=bench.factors, device=cpu)
    found = model.fit(loader, epochs=bench.epochs, verbose=False)
    marks = [*Clocked.began, time.perf_counter()]
bench.result["epochs"] = [b - a for a, b in itertools.pairwise(marks)]
bench.result["losses"] = [float(loss) for loss in found["cosine_train"]]
bench.note("loss", "1 − cosine, measured in its fit beside the loss")
bench.write()
