#!/usr/bin/env bash
# sacreBLEU has no interval of chrF where a resample of the texts scores 0: it raises a TypeError.
#
# Most expect: corpus_score(..., n_bootstrap=1000) gives a mean and an interval for any system, for chrF as for BLEU.
# Seen: where some resamples share no character n-gram with their references and others do, as those of a system that gets one
# text of ten right, chrF and chrF++ raise "TypeError: don't know how to coerce float and float32". Such a resample scores
# the Python number 0.0, others a NumPy float32, and statistics.mean takes no such mixture. BLEU of the same texts has its
# interval. The paired test of the same release, with one system, gives an interval of chrF as well.
# Version: sacrebleu 2.6.0, numpy 2.4.0, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/score.py" <<'PYTHON'
import numpy
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

print(f"sacrebleu {sacrebleu.__version__}, numpy {numpy.__version__}")
right = "the red dog runs over a green field"
references = [right] + [f"{number} says something else entirely" for number in range(9)]
system = [right] + ["x"] * 9
print("BLEU:  ", BLEU().corpus_score(system, [references], n_bootstrap=100))
for order in (0, 2):
    metric = CHRF(word_order=order)
    print(f"chrF{'+' * order}:", metric.corpus_score(system, [references]))
    try:
        print(metric.corpus_score(system, [references], n_bootstrap=100))
    except TypeError as error:
        print("  with n_bootstrap=100: TypeError:", error)
        assert "coerce float and float32" in str(error)
    else:
        raise SystemExit("changed: there is an interval")
test = PairedTest([("system", system)], {"chrF": CHRF(references=[references])}, None, test_type="bs", n_samples=100)
found = next(value for name, value in test()[1].items() if name != "System")[0]
print(f"paired test: chrF {found.score:.1f}, mean {found.mean:.1f}, interval {found.ci:.1f}")
assert found.ci > 0, "changed: the paired test has no interval"
print("as stated")
PYTHON
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check sacrebleu==2.6.0 numpy==2.4.0
"$folder/env/bin/python" -W ignore "$folder/score.py"
