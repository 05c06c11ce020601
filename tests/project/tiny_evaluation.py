"""Evaluate a run beside a bag of subwords that trained for a second, where a proper one gets a hundred.

For the README's commands: `python tests/project/tiny_evaluation.py runs/demo`.
"""

from __future__ import annotations

import sys

from xformer.evaluation.run import evaluate_run
from xformer.progress import Progress


def main(run: str) -> None:
    """Leave an evaluation in `run`."""
    with Progress() as progress:
        evaluate_run(run, progress, bag_seconds=1.0)


if __name__ == "__main__":
    main(sys.argv[1])
