"""`python -m xformer` and the command `xformer`: the command line, or why it does not import."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. If that cannot be imported, say why; `xformer doctor` runs in any case."""
    try:
        from xformer.cli import main as run
    except Exception as error:  # a broken library may raise anything
        if sys.argv[1:2] == ["doctor"]:
            from xformer.doctor.examine import report

            sys.exit(report(as_json="--json" in sys.argv[2:]))
        if not isinstance(error, ImportError) or (error.name or "").split(".")[0] == "xformer":
            raise
        sys.stderr.write(f"xformer: {error}; `xformer doctor` says what is broken, and how to mend it\n")
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
