"""`python -m xformer`: the command line, for whoever starts a module, as `torchrun -m xformer` does."""

from __future__ import annotations

from xformer.cli import main

if __name__ == "__main__":
    main()
