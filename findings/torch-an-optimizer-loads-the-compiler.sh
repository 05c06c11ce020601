#!/usr/bin/env bash
# The first optimizer of a process imports torch's compiler.
#
# Most expect: torch.optim.SGD and AdamW, and the mark torch.compiler.disable, cost nothing where nothing is compiled;
# the compiler is imported when torch.compile is first called. Small tools and command lines count on that.
# Seen: the first optimizer that is made, even SGD over one tensor, imports torch._dynamo with sympy and hundreds of other
# modules, more time than many a tool needs for its work. So does marking a function with torch.compiler.disable. A layer,
# a forward and a backward pass import none of it.
# Version: torch 2.13.0 (CPU, Linux), Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/first.py" <<'PYTHON'
import sys
import time

import torch

x = torch.zeros(3, requires_grad=True)
things = {
    "a layer, forward and backward": lambda: torch.nn.Linear(3, 3)(x).sum().backward(),
    "torch.optim.SGD over one tensor": lambda: torch.optim.SGD([x], lr=0.1),
    "torch.optim.AdamW over one tensor": lambda: torch.optim.AdamW([x]),
    "torch.compiler.disable on a function": lambda: torch.compiler.disable(lambda y: y),
}
what = list(things)[int(sys.argv[1])]
before, began = len(sys.modules), time.perf_counter()
things[what]()
more, took = len(sys.modules) - before, time.perf_counter() - began
print(f"{what}: {more} more modules in {took:.2f} s, the compiler among them: {'torch._dynamo' in sys.modules}")
wanted = sys.argv[1] != "0"
assert ("torch._dynamo" in sys.modules and "sympy" in sys.modules) == wanted, "the behaviour has changed"
assert (more > 500) == wanted, "the behaviour has changed"
PYTHON
for number in 0 1 2 3; do "$folder/venv/bin/python" "$folder/first.py" "$number"; done
