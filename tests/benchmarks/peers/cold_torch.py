"""A cold process: from the start of Python to a trained classifier and its predictions, in eager PyTorch."""

from __future__ import annotations

import argparse
import json
import os
import time

import pandas as pd
import torch
import transformers

from tests.benchmarks.peers.classifier import Classifier, training_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="config.json, model.safetensors and tokenizer of the encoder")
    parser.add_argument("csv", help="table with the columns text and label (0, 1, …)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=64)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.csv, keep_default_na=False)
    texts, labels = table["text"].tolist(), torch.tensor(table["label"].to_numpy())
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
    model = Classifier(arguments.folder, int(labels.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-5, fused=True)

    def fields(rows: list[int]):
        options = {"padding": True, "truncation": True, "max_length": arguments.max_length, "return_tensors": "pt"}
        return tokenizer([texts[row] for row in rows], **options)

    model.train()
    for rows in torch.randperm(len(texts)).split(arguments.batch):
        training_step(model, optimizer, fields(rows.tolist()), labels[rows])
    trained = time.time()
    model.eval()
    with torch.inference_mode():
        for rows in torch.arange(len(texts)).split(arguments.batch):
            model(fields(rows.tolist())).softmax(1).numpy()
    start = float(os.environ["START"])
    print(json.dumps({"trained": trained - start, "predicted": time.time() - start}))


if __name__ == "__main__":
    main()
