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
    return {"name": about_versions("", model.encoder.config)}


def about_versions(what: str, config) -> str:
    """The versions of a rival, its attention and its threads."""
    versions = f"PyTorch {torch.__version__}, transformers {transformers.__version__}"
    attention = f"{config._attn_implementation} attention"
    parts = [what, versions, attention, f"{torch.get_num_threads()} threads"]
    return ", ".join(part for part in parts if part)
