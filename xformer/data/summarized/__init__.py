"""Texts with their summaries, to learn summarizing from."""

from xformer.data.summarized.read import SummaryNames, read_summarized
from xformer.data.summarized.texts import SummarizedTexts

__all__ = ["SummarizedTexts", "SummaryNames", "read_summarized"]
