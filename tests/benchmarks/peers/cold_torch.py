"""A cold process: from the start of Python to a trained classifier and its predictions, in eager
PyTorch.
"""

from __future__ import annotations

import json
import os
import time

import torch

from tests.benchmarks.peers.classifier import Classifier, training_step
from tests.benchmarks.peers.table import read_table


def main() -> None:
    table = read_table(__doc__)
    model = Classifier(table.folder, int(table.labels.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-5, fused=True)

    model.train()
    for rows in torch.randperm(table.rows).split(table.batch):
        training_step(model, optimizer, table.fields(rows.tolist()), table.labels[rows])
    trained = time.time()
    model.eval()
    with torch.inference_mode():
        for rows in torch.arange(table.rows).split(table.batch):
            model(table.fields(rows.tolist())).softmax(1).numpy()
    start = float(os.environ["START"])
    print(json.dumps({"trained": trained - start, "predicted": time.time() - start}))


if __name__ == "__main__":
    main()
