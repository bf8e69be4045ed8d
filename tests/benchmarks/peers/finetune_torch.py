"""Steps of fine-tuning on a batch of fixed shape, timed one by one."""

from __future__ import annotations

import argparse
import time

import torch

from tests.benchmarks.peers.classifier import Classifier, about, training_step
from tests.benchmarks.sides import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", help="config.json, model.safetensors and tokenizer of the encoder"
    )
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = Classifier(arguments.folder).train()
    ids = torch.randint(1000, 20000, (arguments.batch, arguments.length))
    fields = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }
    labels = torch.randint(0, 2, (arguments.batch,))
    optimizers = {
        fused: torch.optim.AdamW(model.parameters(), 2e-5, fused=fused or None)
        for fused in (False, True)
    }

    def steps(request: dict) -> dict:
        milliseconds = []
        for _ in range(request["steps"]):
            start = time.perf_counter()
            training_step(model, optimizers[request["fused"]], fields, labels)
            milliseconds.append(1e3 * (time.perf_counter() - start))
        return {"milliseconds": milliseconds}

    serve(about(model), steps)


if __name__ == "__main__":
    main()
