"""Hugging Face's model of a kind that reads tokens: steps on a batch of fixed shape, and answers
to a table's texts.
"""

from __future__ import annotations

import argparse
import time

import pandas as pd
import torch
import transformers

from tests.benchmarks.peers.classifier import about_versions
from tests.benchmarks.sides import serve

NOT_COUNTED = -100
"""The label of a token that the loss leaves out, as in PyTorch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="config.json, model.safetensors and tokenizer")
    parser.add_argument("csv", help="table with the column text, of questions question too")
    parser.add_argument("--kind", choices=LOADERS, required=True)
    parser.add_argument("--tags", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--max-length", type=int, default=128)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    load, targets = LOADERS[arguments.kind], TARGETS[arguments.kind]
    model = load(arguments.folder, num_labels=arguments.tags)
    fields = random_fields(arguments.batch, arguments.length)
    labels = targets(arguments.batch, arguments.length, arguments.tags)
    optimizers = {
        fused: torch.optim.AdamW(model.parameters(), 2e-5, fused=fused or None)
        for fused in (False, True)
    }
    read = batches_of_texts(arguments)

    def steps(count: int, fused: bool) -> dict:
        model.train()
        milliseconds = []
        for _ in range(count):
            start = time.perf_counter()
            optimizers[fused].zero_grad()
            model(**fields, **labels).loss.backward()
            optimizers[fused].step()
            milliseconds.append(1e3 * (time.perf_counter() - start))
        return {"milliseconds": milliseconds}

    def predict() -> dict:
        model.eval()
        start = time.perf_counter()
        with torch.inference_mode():
            for batch in read():
                outputs = model(**batch)
                for logits in outputs.to_tuple():
                    logits.argmax(-1).numpy()
        return {"seconds": time.perf_counter() - start}

    def answer(request: dict) -> dict:
        return steps(request["steps"], request["fused"]) if request else predict()

    serve({"name": about_versions(type(model).__name__, model.config)}, answer)


def random_fields(batch: int, length: int) -> dict:
    ids = torch.randint(1000, 20000, (batch, length))
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }


def tags_of_tokens(batch: int, length: int, tags: int) -> dict:
    """Every other token has a tag, as where a word is of two."""
    labels = torch.randint(0, tags, (batch, length))
    labels[:, 1::2] = NOT_COUNTED
    return {"labels": labels}


def places_of_answers(batch: int, length: int, tags: int) -> dict:
    starts = torch.randint(1, length // 2, (batch,))
    return {"start_positions": starts, "end_positions": starts + 2}


LOADERS = {
    "tagging": transformers.AutoModelForTokenClassification.from_pretrained,
    "span": transformers.AutoModelForQuestionAnswering.from_pretrained,
}
TARGETS = {"tagging": tags_of_tokens, "span": places_of_answers}


def batches_of_texts(arguments):
    """What gives the table's texts, tokenised and padded batch by batch."""
    table = pd.read_csv(arguments.csv, keep_default_na=False)
    columns = ["question", "text"] if "question" in table else ["text"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
    options = {
        "padding": True,
        "truncation": True,
        "max_length": arguments.max_length,
        "return_tensors": "pt",
    }

    def read():
        for first in range(0, len(table), arguments.batch):
            rows = table.iloc[first : first + arguments.batch]
            yield tokenizer(*(rows[column].tolist() for column in columns), **options)

    return read


if __name__ == "__main__":
    main()
