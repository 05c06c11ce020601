"""`python -m benchmarks.training`: `xformer bench training`, from the root of a checkout."""

from __future__ import annotations

from xformer.benchmarks.training.command import main

if __name__ == "__main__":
    main()
