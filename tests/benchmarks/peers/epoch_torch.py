"""One epoch of fine-tuning on texts, and their predictions: tokenised and padded batch by batch."""

from __future__ import annotations

import argparse
import time

import pandas as pd
import torch
import transformers

from tests.benchmarks.peers.classifier import Classifier, about, training_step
from tests.benchmarks.sides import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="config.json, model.safetensors and tokenizer of the encoder")
    parser.add_argument("csv", help="table with the columns text and label (0, 1, …)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.csv, keep_default_na=False)
    texts, labels = table["text"].tolist(), torch.tensor(table["label"].to_numpy())
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
    torch.manual_seed(0)
    model = Classifier(arguments.folder, int(labels.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-5)

    def fields(rows: list[int]):
        options = {"padding": True, "truncation": True, "max_length": arguments.max_length, "return_tensors": "pt"}
        return tokenizer([texts[row] for row in rows], **options)

    def train() -> None:
        model.train()
        for rows in torch.randperm(len(texts)).split(arguments.batch):
            training_step(model, optimizer, fields(rows.tolist()), labels[rows])

    def predict() -> None:
        model.eval()
        with torch.inference_mode():
            for rows in torch.arange(len(texts)).split(arguments.batch):
                model(fields(rows.tolist())).softmax(1).numpy()

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
