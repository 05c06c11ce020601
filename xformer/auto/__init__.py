"""A run for a training loop of one's own, under the names that transformers made familiar.

`AutoTokenizer.from_pretrained(RUN)` makes padded tensors of texts,
`AutoModelForSequenceClassification.from_pretrained(RUN)` is a torch module that takes them and labels. A
program for a folder of `xformer export hf` runs on the run itself when its imports say `xformer.auto`.
"""

from xformer.auto.classifier import AutoModelForSequenceClassification, ClassifierOutput
from xformer.auto.tokenizer import AutoTokenizer, Encoding

__all__ = ["AutoModelForSequenceClassification", "AutoTokenizer", "ClassifierOutput", "Encoding"]
