# mypy: ignore-errors
"""A plain torch loop that stays sparse: `embedding_bag` first, the loss gathered at the items."""

import deep_common as deep
import numpy as np
import torch
from torch import nn
from torch.nn import functional

bench = deep.Training("sketch")
torch.set_num_threads(bench.threads)
torch.manual_seed(0)
rng = np.random.default_rng(0)
X, n = bench.X, bench.X.shape[1]


class MultVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.empty(n, deep.HIDDEN))
        self.bias = nn.Parameter(torch.zeros(deep.HIDDEN))
        self.moments = nn.Linear(deep.HIDDEN, 2 * deep.FACTORS)
        self.widen = nn.Linear(deep.FACTORS, deep.HIDDEN)
        self.last = nn.Linear(deep.HIDDEN, n)
        nn.init.xavier_uniform_(self.first)

    def forward(self, items, offsets, weights):
        x = functional.embedding_bag(
            items, self.first, offsets, mode="sum", per_sample_weights=weights
        )
        mean, log_variance = self.moments((x + self.bias).tanh()).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.last(self.widen(z).tanh()), mean, log_variance


def step(users, updates):
    part = X[users]
    counts = torch.from_numpy(np.diff(part.indptr))
    rows = torch.repeat_interleave(torch.arange(len(users)), counts)
    items = torch.from_numpy(part.indices.astype(np.int64))
    weights = functional.dropout(counts.clamp_min(1).rsqrt()[rows], deep.DROPOUT)
    offsets = torch.from_numpy(part.indptr[:-1].astype(np.int64))
    logits, mean, log_variance = model(items, offsets, weights)
    found = torch.zeros(len(users)).index_add(0, rows, logits[rows, items])
    likelihood = found - counts * logits.logsumexp(dim=1)
    kl = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(dim=1)
    loss = (min(deep.BETA, updates / deep.ANNEAL) * kl - likelihood).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


with bench.timed("fit"):
    model = MultVAE()
    optimiser = torch.optim.Adam(model.parameters(), deep.LR)
    updates = 0
    for _ in range(bench.epochs):
        losses = []
        with bench.epoch():
            order = rng.permutation(X.shape[0])
            for at in range(0, len(order), deep.BATCH):
                losses.append(step(order[at : at + deep.BATCH], updates))
                updates += 1
        bench.loss(np.mean(losses))
bench.write()
