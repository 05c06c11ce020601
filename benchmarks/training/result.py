"""What a trainer's run came to, and how two compare."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from . import TrainerName
from .quality import Quality

Measure = Literal["bits_per_byte", "mean_top1"]
_WITH_BITS: tuple[TrainerName, ...] = ("padded", "blocks", "blocks-from-counts")
_ALIGNED: tuple[TrainerName, ...] = ("sentence-transformers", "static-embedding")
Status = Literal["ok", "absent", "failed"]


@dataclass(frozen=True)
class Point:
    """What a model knew at a time.

    Attributes:
        seconds: of training.
        tokens: of text, read until then.
        bits_per_byte: on held-out text; None without an output layer.
        mean_top1: of retrieval, the mean over languages.
    """

    seconds: float
    tokens: int
    bits_per_byte: float | None
    mean_top1: float | None

    @classmethod
    def of(cls, seconds: float, tokens: int, quality: Quality) -> Point:
        """What was found at a time."""
        return cls(seconds, tokens, quality.bits_per_byte, quality.mean_top1)


@dataclass(frozen=True)
class Trained:
    """One trainer's run.

    Attributes:
        name: the trainer.
        status: `absent` where its package is not installed.
        note: settings that it found for itself, or why there is no result.
        parameters: of the model.
        points: what it knew when.
        steps: taken.
        seconds: of training.
        tokens_per_s: of text.
        flops_per_s: useful ones.
        matrix_flops_per_s: of a large product, in the same process and precision.
        peak_bytes: largest memory while it trained.
        load: of the machine when it began and when it ended, means over a minute; empty where nobody knows.
    """

    name: TrainerName
    status: Status
    note: str = ""
    parameters: int | None = None
    points: tuple[Point, ...] = ()
    steps: int | None = None
    seconds: float | None = None
    tokens_per_s: float | None = None
    flops_per_s: float | None = None
    matrix_flops_per_s: float | None = None
    peak_bytes: int | None = None
    load: tuple[float, ...] = ()

    @property
    def matrix_share(self) -> float | None:
        """Useful operations a second over those of a large product."""
        return over(self.flops_per_s, self.matrix_flops_per_s)

    def final(self, measure: Measure) -> float | None:
        """What the run ended with."""
        return getattr(self.points[-1], measure) if self.points else None

    def to_json(self) -> dict[str, Any]:
        """Fields, and what follows from them, as JSON has them."""
        return asdict(self) | {"matrix_share": self.matrix_share}

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Trained:
        """What `to_json` gave."""
        fields = {key: value for key, value in table.items() if key != "matrix_share"}
        fields["points"] = tuple(Point(**point) for point in fields["points"])
        fields["load"] = tuple(fields["load"])
        return cls(**fields)


def over(ours: float | None, theirs: float | None) -> float | None:
    """`ours / theirs`; None where either is unknown, or `theirs` is zero."""
    return ours / theirs if ours is not None and theirs else None


def time_to(trained: Trained, measure: Measure, value: float | None) -> float | None:
    """Seconds of training until a curve first has a value; None where it never has.

    Between two points it is a straight line, which for a curve that rises fast and then slowly says late
    rather than early.
    """
    if value is None:
        return None
    sign = 1.0 if measure == "mean_top1" else -1.0
    found = [(point.seconds, getattr(point, measure)) for point in trained.points]
    curve = [(seconds, sign * known) for seconds, known in found if known is not None]
    wanted = sign * value
    if curve and curve[0][1] >= wanted:
        return curve[0][0]
    for (before, low), (after, high) in pairwise(curve):
        if high >= wanted:
            return before + (after - before) * (wanted - low) / (high - low)
    return None


@dataclass(frozen=True)
class Outcome:
    """All trainers beside one another.

    Attributes:
        trained: by name.
        about: the machine, the text and the question, for the reader.
    """

    trained: dict[TrainerName, Trained]
    about: dict[str, Any]

    def times_to(self, peer: TrainerName, measure: Measure) -> dict[str, float | None]:
        """When each trainer first has what `peer` ends with, by name."""
        value = self.trained[peer].final(measure) if peer in self.trained else None
        return {name: time_to(one, measure, value) for name, one in self.trained.items()}

    def speedup(self, peer: TrainerName, measure: Measure) -> float | None:
        """How many times sooner xformer has what `peer` ends with; None where it never has."""
        times = self.times_to(peer, measure)
        return over(times.get(peer), times.get("xformer"))

    def tokens_over(self, peer: TrainerName) -> float | None:
        """How many times the peer's tokens xformer reads in the same time."""
        rates = {name: one.tokens_per_s for name, one in self.trained.items()}
        return over(rates.get("xformer"), rates.get(peer))

    def headline(self) -> dict[str, float | None]:
        """The figures that are wanted; None where one was not measured."""
        ours = self.trained.get("xformer")
        return {
            "tokens_per_s_over_padded": self.tokens_over("padded"),
            "tokens_per_s_over_blocks": self.tokens_over("blocks"),
            "matrix_rate_share": ours.matrix_share if ours else None,
            "time_to_bpb_over_blocks": self.speedup("blocks", "bits_per_byte"),
            "time_to_bpb_over_blocks_from_counts": self.speedup("blocks-from-counts", "bits_per_byte"),
            "time_to_retrieval_over_sentence_transformers": self.speedup(
                "sentence-transformers", "mean_top1"
            ),
            "time_to_retrieval_over_static_embedding": self.speedup("static-embedding", "mean_top1"),
            "retrieval_mean_top1": ours.final("mean_top1") if ours else None,
        }

    def to_json(self) -> dict[str, Any]:
        """One object."""
        return (
            self.headline()
            | {
                "seconds_to_bpb": {peer: self.times_to(peer, "bits_per_byte") for peer in _WITH_BITS},
                "seconds_to_retrieval": {peer: self.times_to(peer, "mean_top1") for peer in _ALIGNED},
                "trainers": {name: one.to_json() for name, one in self.trained.items()},
            }
            | self.about
        )
