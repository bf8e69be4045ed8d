"""One epoch of fine-tuning on texts, and their predictions: tokenised and padded batch by batch."""

from __future__ import annotations

import time

import torch

from tests.benchmarks.peers.classifier import Classifier, about, training_step
from tests.benchmarks.peers.table import read_table
from tests.benchmarks.sides import serve


def main() -> None:
    table = read_table(__doc__)
    torch.manual_seed(0)
    model = Classifier(table.folder, int(table.labels.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-5)

    def train() -> None:
        model.train()
        for rows in torch.randperm(table.rows).split(table.batch):
            training_step(model, optimizer, table.fields(rows.tolist()), table.labels[rows])

    def predict() -> None:
        model.eval()
        with torch.inference_mode():
            for rows in torch.arange(table.rows).split(table.batch):
                model(table.fields(rows.tolist())).softmax(1).numpy()

    def answer(request: dict) -> dict:
        seconds = {}
        for name, work in (("train", train), ("predict", predict)):
            start = time.perf_counter()
            work()
            seconds[name] = time.perf_counter() - start
        return seconds

    serve(about(model), answer)


if __name__ == "__main__":
    main()
