"""What both rivals train: a mean-pooled encoder of Hugging Face with a linear head, in eager
PyTorch.
"""

from __future__ import annotations

import torch
import transformers


class Classifier(torch.nn.Module):
    """Logits (batch, classes) from the tokenizer's fields, each (batch, length)."""

    def __init__(self, folder: str, classes: int = 2):
        super().__init__()
        # Without the pooler, whose output a mean-pooled classifier does not use.
        self.encoder = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, classes)

    def forward(self, fields):
        hidden = self.encoder(**fields).last_hidden_state
        mask = fields["attention_mask"][..., None].to(hidden.dtype)
        return self.head((hidden * mask).sum(1) / mask.sum(1))


def training_step(model: Classifier, optimizer, fields, labels) -> None:
    """One step of cross-entropy on a batch."""
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(fields), labels).backward()
    optimizer.step()


def about(model: Classifier) -> dict:
    """What the rival is, for the report."""
    versions = f"PyTorch {torch.__version__}, transformers {transformers.__version__}"
    attention = model.encoder.config._attn_implementation
    return {"name": f"{versions}, {attention} attention, {torch.get_num_threads()} threads"}
