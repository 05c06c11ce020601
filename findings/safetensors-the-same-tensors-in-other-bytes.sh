#!/usr/bin/env bash
# safetensors writes the same tensors with the same metadata in other bytes from call to call.
#
# Most expect: a format without timestamps, which sorts tensors by itself, gives the same file for the same input, so that a
# hash of a checkpoint tells whether it is the same.
# Seen: entries of the metadata are written in an order that changes within one process: two entries have two orders, three
# have six. Without metadata, or with one entry ("format": "pt" alone), the bytes are the same each time. transformers,
# diffusers and LoRA trainers write several entries.
# Version: safetensors 0.8.0, numpy 2.4.6, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/save.py" <<'PYTHON'
import hashlib

import numpy as np
import safetensors
from safetensors.numpy import save

print("safetensors", safetensors.__version__)
tensors = {name: np.arange(4, dtype=np.float32) for name in "abc"}
entries = [("format", "pt"), ("names", "1"), ("trainer", "x")]
kinds = {}
for count in range(4):
    metadata = dict(entries[:count]) or None
    files = {hashlib.sha256(save(tensors, metadata)).hexdigest() for _ in range(200)}
    kinds[count] = len(files)
    print(f"{count} entries of metadata: {len(files)} different files of 200")
assert kinds[0] == kinds[1] == 1, "changed: bytes differ without an order"
assert kinds[2] == 2 and kinds[3] > 2, "changed: the order is fixed"
print("as stated")
PYTHON
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/env/bin/python" "$folder/save.py"
