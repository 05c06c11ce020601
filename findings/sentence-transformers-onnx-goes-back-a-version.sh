#!/usr/bin/env bash
# Asking for sentence-transformers with ONNX installs an older major version, without a word.
#
# Most expect: the extra [onnx] adds a backend to the newest version. The extra is the package's own.
# Seen: 6.2.0 needs transformers 5 or later; its extra needs optimum-onnx, whose newest release (0.1.0) needs transformers
# before 4.58. No choice suits both, so pip goes back to sentence-transformers 5.7.0 with transformers 4.57.6 and reports
# success. With 6.2.0 pinned, the extra can't be installed at all. A project that adds the extra later loses 6.x.
# Version: sentence-transformers 6.2.0, optimum-onnx 0.1.0, November 2026. pip only resolves here; it installs none of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
resolve() {
    "$folder/venv/bin/python" -m pip install -q --disable-pip-version-check --dry-run --report "$folder/$1.json" "${@:2}" \
        2> "$folder/$1.log"
}
resolve open 'sentence-transformers[onnx]<=6.2.0' 'transformers<=5.24.0'
resolve plain 'sentence-transformers<=6.2.0' 'transformers<=5.24.0'
if resolve pinned 'sentence-transformers[onnx]==6.2.0'; then pinned=installs; else pinned=fails; fi
grep -E 'depends on|ResolutionImpossible' "$folder/pinned.log" || true
"$folder/venv/bin/python" - "$folder" "$pinned" <<'PYTHON'
import json
import pathlib
import sys

folder, pinned = pathlib.Path(sys.argv[1]), sys.argv[2]


def chosen(name):
    packages = json.loads((folder / f"{name}.json").read_text())["install"]
    versions = {package["metadata"]["name"]: package["metadata"]["version"] for package in packages}
    return versions["sentence-transformers"], versions["transformers"]


seen = {"without the extra": chosen("plain"), "with [onnx]": chosen("open"), "with [onnx], ==6.2.0": pinned}
for request, answer in seen.items():
    print(f"{request}: {answer}")
assert seen["without the extra"] == ("6.2.0", "5.24.0"), "the behaviour has changed"
assert seen["with [onnx]"] == ("5.7.0", "4.57.6"), "the behaviour has changed"
assert "ResolutionImpossible" in (folder / "pinned.log").read_text(), "the behaviour has changed"
PYTHON
