"""See inside a model: traces, interventions, analysis, and the attention page.

    import xformer.inspect as lab

    subject = lab.open("runs/demo")                       # or a folder of Hugging Face
    with subject.trace(["Open the file", "Datei öffnen"]) as t:
        t["layers.1.attn.weights"][0]                     # (heads, queries, keys) of the first text

    without = lab.ablate("layers.1.attn.heads", heads=3)  # one head says nothing
    with subject.trace("Open the file", interventions=[without]) as changed:
        ...

`xformer.load(RUN)` has `trace` and `intervene`, too. Names are listed in `xformer.inspect.names`.
"""

from xformer.inspect.activation import Activation
from xformer.inspect.interventions import ablate, freeze_attention, patch, replace, scale, steer
from xformer.inspect.open import open
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.inspect.trace import Trace
from xformer.inspect.weights import AttentionWeights

__all__ = [
    "Activation",
    "AttentionWeights",
    "Subject",
    "TokenisedText",
    "Trace",
    "ablate",
    "freeze_attention",
    "open",
    "patch",
    "replace",
    "scale",
    "steer",
]
