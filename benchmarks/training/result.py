"""The result of a trainer, and the comparison of several."""

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
    """An evaluation of a model during training.

    Attributes:
        seconds: of training.
        tokens: of text, read so far.
        bits_per_byte: on held-out text; None without an output layer.
        mean_top1: of retrieval, the mean over languages.
    """

    seconds: float
    tokens: int
    bits_per_byte: float | None
    mean_top1: float | None

    @classmethod
    def of(cls, seconds: float, tokens: int, quality: Quality) -> Point:
        """The point of an evaluation."""
        return cls(seconds, tokens, quality.bits_per_byte, quality.mean_top1)


@dataclass(frozen=True)
class Trained:
    """The result of one trainer.

    Attributes:
        name: the trainer.
        status: `absent` if its package is not installed.
        note: settings that it chose, or why there is no result.
        parameters: of the model.
        points: the evaluations.
        steps: number of steps.
        seconds: of training.
        tokens_per_s: of text.
        flops_per_s: useful operations of matrix products.
        matrix_flops_per_s: those of a large product, in the same process and precision.
        peak_bytes: largest memory while it trained.
        load: of the machine before and after, means over a minute; empty where the system does not tell.
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
        """The last value of a measure."""
        return getattr(self.points[-1], measure) if self.points else None

    def to_json(self) -> dict[str, Any]:
        """The fields and `matrix_share`, for JSON."""
        return asdict(self) | {"matrix_share": self.matrix_share}

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Trained:
        """The result that `to_json` gave."""
        fields = {key: value for key, value in table.items() if key != "matrix_share"}
        fields["points"] = tuple(Point(**point) for point in fields["points"])
        fields["load"] = tuple(fields["load"])
        return cls(**fields)


def over(ours: float | None, theirs: float | None) -> float | None:
    """`ours / theirs`; None where either is unknown, or `theirs` is zero."""
    return ours / theirs if ours is not None and theirs else None


def time_to(trained: Trained, measure: Measure, value: float | None) -> float | None:
    """Seconds of training until a curve first reaches a value; None if it never does.

    Between two points the curve is a straight line. For a curve that rises fast and then slowly, the time is
    too late rather than too early.
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
    """The results of all trainers.

    Attributes:
        trained: the results by name.
        about: the machine, the text and the size of the evaluation.
    """

    trained: dict[TrainerName, Trained]
    about: dict[str, Any]

    def times_to(self, peer: TrainerName, measure: Measure) -> dict[str, float | None]:
        """By trainer, the seconds until it first reaches the final value of `peer`."""
        value = self.trained[peer].final(measure) if peer in self.trained else None
        return {name: time_to(one, measure, value) for name, one in self.trained.items()}

    def speedup(self, peer: TrainerName, measure: Measure) -> float | None:
        """How many times sooner xformer reaches the final value of `peer`; None if it never does."""
        times = self.times_to(peer, measure)
        return over(times.get(peer), times.get("xformer"))

    def tokens_over(self, peer: TrainerName) -> float | None:
        """Tokens per second of xformer over those of a peer."""
        rates = {name: one.tokens_per_s for name, one in self.trained.items()}
        return over(rates.get("xformer"), rates.get(peer))

    def headline(self) -> dict[str, float | None]:
        """The headline figures; None where one was not measured."""
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
