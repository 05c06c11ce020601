"""Fine-tune a multilingual classifier in plain PyTorch, and say how often it is right in each language.

python examples/classify.py FOLDER examples/sentences.tsv NEW_FOLDER

FOLDER is a folder of Hugging Face, as `xformer export hf RUN FOLDER` writes one. For a run itself, import
from xformer.auto in place of transformers.
"""

import csv
import sys

import torch
from torch.optim import AdamW
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, sentences, out = sys.argv[1:]
with open(sentences, encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file, delimiter="\t"))
train, test = ([row for row in rows if row["split"] == split] for split in ("train", "test"))
labels = sorted({row["label"] for row in train})

torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder, id2label=dict(enumerate(labels)))


def encode(rows):
    """The texts of some rows as tensors, all of one length, with the numbers of their labels."""
    batch = tokenizer([row["text"] for row in rows], padding=True, truncation=True, return_tensors="pt")
    batch["labels"] = torch.tensor([labels.index(row["label"]) for row in rows])
    return batch


optimizer = AdamW(model.parameters(), lr=1e-3)
model.train()
for _ in range(10):
    for batch in DataLoader(train, batch_size=16, shuffle=True, collate_fn=encode):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

model.eval()
for language in sorted({row["language"] for row in test}):
    batch = encode([row for row in test if row["language"] == language])
    with torch.no_grad():
        right = model(**batch).logits.argmax(dim=1) == batch["labels"]
    print(f"{language}: {right.sum()} of {len(right)} right, {right.float().mean():.0%}")
tokenizer.save_pretrained(out)
model.save_pretrained(out)
