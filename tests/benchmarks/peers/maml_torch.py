"""Second-order MAML meta-gradients with `torch.func`, the inner loop unrolled; seconds and peak
memory.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch
import transformers
from torch.func import functional_call

from tests.benchmarks.sides import serve


class Classifier(torch.nn.Module):
    """Logits (batch, way) of a mean-pooled encoder; eager attention, whose second derivative
    exists.
    """

    def __init__(self, folder: str, way: int):
        super().__init__()
        self.encoder = transformers.AutoModel.from_pretrained(
            folder, add_pooling_layer=False, attn_implementation="eager"
        )
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, way)

    def forward(self, ids):
        return self.head(
            self.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(
                1
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", help="config.json, model.safetensors and tokenizer of the encoder"
    )
    parser.add_argument("--way", type=int, default=5)
    parser.add_argument("--rows", type=int, default=25)
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--inner-lr", type=float, default=0.01)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = Classifier(arguments.folder, arguments.way).eval()
    start = dict(model.named_parameters())
    labels = torch.arange(arguments.rows) % arguments.way
    support, query = (
        torch.randint(1000, 20000, (arguments.rows, arguments.length)) for _ in range(2)
    )

    def loss(weights, ids):
        return torch.nn.functional.cross_entropy(functional_call(model, weights, (ids,)), labels)

    def answer(request: dict) -> dict:
        before = time.perf_counter()
        fast = start
        for _ in range(request["steps"]):
            gradients = torch.autograd.grad(
                loss(fast, support), list(fast.values()), create_graph=True
            )
            fast = {
                name: w - arguments.inner_lr * g for (name, w), g in zip(fast.items(), gradients)
            }
        torch.autograd.grad(loss(fast, query), list(start.values()))
        seconds = time.perf_counter() - before
        return {
            "seconds": seconds,
            "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        }

    versions = f"PyTorch {torch.__version__}, transformers {transformers.__version__}"
    serve({"name": f"{versions}, torch.func, unrolled, {torch.get_num_threads()} threads"}, answer)


if __name__ == "__main__":
    main()
