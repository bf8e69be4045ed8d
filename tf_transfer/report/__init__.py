"""What a person looks at: a comparison as one HTML file, and its plots."""

from tf_transfer.report.html import render
from tf_transfer.report.wording import headline

__all__ = ["headline", "render"]
