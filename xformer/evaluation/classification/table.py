"""The scores of a classifier as tables, for a terminal and in Markdown, and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xformer.data.languages import counted
from xformer.evaluation.classification.report import (
    SYSTEMS,
    ClassificationReport,
    LanguageReport,
    SystemScores,
)
from xformer.evaluation.names import short_names

_NARROW = {
    "bag of subwords": "bag of\nsubwords",
    "not pretrained": "not pre-\ntrained",
    "TF-IDF words": "TF-IDF\nwords",
    "TF-IDF characters": "TF-IDF\ncharacters",
    "macro F1": "macro\nF1",
}
_MOST_CONFUSIONS = 5


def headers(report: ClassificationReport) -> tuple[str, ...]:
    """Names of the columns: of accuracies by system, and the model's other scores."""
    others = [SYSTEMS[name] for name in report.systems if name != "model"]
    gap = ("oracle gap",) if any(one.oracle for one in report.languages.values()) else ()
    return ("language", "texts", "model", "95%", *others, "macro F1", "ECE", *gap)


def rows(report: ClassificationReport) -> list[tuple[str, ...]]:
    """A row for each language; the source languages come first, then means over the others."""
    tags = sorted(report.languages, key=lambda tag: (not report.languages[tag].source, tag))
    names = short_names(tags)
    found = [_row(report, names[tag], report.languages[tag]) for tag in tags]
    if len(report.targets) > 1:
        found.append(_mean_row(report))
    return found


def classification_table(report: ClassificationReport) -> RenderableType:
    """The table, and what it says."""
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for index, header in enumerate(headers(report)):
        table.add_column(
            _NARROW.get(header, header), justify="right" if index else "left", vertical="bottom", no_wrap=True
        )
    for row in rows(report):
        table.add_row(*row)
    return Group(Text(title(report), style="bold"), Text(), table, Text(), *map(Text, summary(report)))


def markdown(report: ClassificationReport) -> str:
    """The same as Markdown, with the classes' table and the reliability of each language."""
    parts = [f"{title(report)}\n", _markdown_table(headers(report), rows(report))]
    parts += [f"- {line}" for line in summary(report)]
    if classes := class_rows(report):
        heads = ("class", "texts", "precision", "recall", "F1", "mostly taken for")
        parts += ["", f"Classes in {', '.join(report.source)}:\n", _markdown_table(heads, classes)]
    return "\n".join(parts) + "\n"


def title(report: ClassificationReport) -> str:
    """What was measured."""
    kind = "A probe of" if report.frozen else "Fine-tuned from"
    return (
        f"{kind} {report.base}: {len(report.labels)} classes, {report.train_texts:,} training texts in"
        f" {', '.join(report.source)}, tested in {counted(len(report.languages))}"
    )


def summary(report: ClassificationReport) -> list[str]:
    """What the columns mean, and what stands out."""
    dev = ", ".join(f"{value:.3f}" for value in report.dev_accuracy)
    steps = ", ".join(f"{step:,}" for step in report.step)
    lines = [
        "Accuracy: share of texts whose label is right"
        + (", all of them where there are several." if report.multi_label else "."),
        f"Checkpoints were chosen on held-out texts of {', '.join(report.source)} alone: accuracy {dev} at"
        f" step {steps}.",
    ]
    if len(report.seeds) > 1:
        lines.append(f"Means over {len(report.seeds)} seeds; intervals by bootstrap over texts and seeds.")
    within = [SYSTEMS[name] for name in ("words", "characters") if name in report.systems]
    if within:
        lines.append(
            f"{' and '.join(within)}: logistic regression, trained in each language, on as many texts as"
            " stand behind the stroke."
        )
    if "oracle gap" in headers(report):
        lines.append(
            "oracle gap: what choosing the checkpoint by the language's own test texts would have added; it"
            " is in no other number."
        )
    lines += [f"Most often confused: {line}." for line in confusions(report)[:1]]
    return lines


def class_rows(report: ClassificationReport) -> list[tuple[str, ...]]:
    """Precision, recall and F1 of each class in the source languages; none with several labels a text."""
    counts = _confusion_of_sources(report)
    if counts is None:
        return []
    found: list[tuple[str, ...]] = []
    for place, label in enumerate(report.labels):
        here, given = sum(counts[place]), sum(row[place] for row in counts)
        hit = counts[place][place]
        wrong = [(n, report.labels[at]) for at, n in enumerate(counts[place]) if at != place and n]
        most = max(wrong, default=None)
        found.append(
            (
                label,
                f"{here:,}",
                _share(hit, given),
                _share(hit, here),
                _share(2 * hit, here + given),
                "" if most is None else f"{most[1]} ({most[0]:,})",
            )
        )
    return found


def confusions(report: ClassificationReport) -> list[str]:
    """The commonest mistakes in the source languages, in words."""
    counts = _confusion_of_sources(report)
    if counts is None:
        return []
    pairs = [
        (n, report.labels[row], report.labels[column])
        for row, line in enumerate(counts)
        for column, n in enumerate(line)
        if row != column and n
    ]
    worst = sorted(pairs, reverse=True)[:_MOST_CONFUSIONS]
    return [", ".join(f"{true} taken for {said} ({n:,})" for n, true, said in worst)] if worst else []


def _confusion_of_sources(report: ClassificationReport) -> list[list[int]] | None:
    tables = [one.confusion for one in report.languages.values() if one.source and one.confusion]
    if not tables:
        tables = [one.confusion for one in report.languages.values() if one.confusion]
    if not tables:
        return None
    size = range(len(report.labels))
    return [[sum(table[row][column] for table in tables) for column in size] for row in size]


def _row(report: ClassificationReport, name: str, one: LanguageReport) -> tuple[str, ...]:
    model = one.systems["model"]
    others = [_accuracy(one.systems.get(system)) for system in report.systems if system != "model"]
    gap: tuple[str, ...] = ()
    if any(each.oracle for each in report.languages.values()):
        gap = ("" if one.oracle is None else f"{one.oracle.gap:.3f}",)
    return (
        name + (" (source)" if one.source else ""),
        f"{one.texts:,}",
        f"{model.mean.accuracy:.3f}",
        f"{model.low:.3f}–{model.high:.3f}",
        *others,
        f"{model.mean.macro_f1:.3f}",
        f"{model.mean.ece:.3f}",
        *gap,
    )


def _mean_row(report: ClassificationReport) -> tuple[str, ...]:
    def shown(system: str) -> str:
        value = report.mean(system, report.targets)
        return "" if value is None else f"{value:.3f}"

    found = [report.languages[tag] for tag in report.targets]
    models = [one.systems["model"].mean for one in found]
    cells = [
        f"mean of {len(found)}",
        f"{sum(one.texts for one in found):,}",
        shown("model"),
        "",
        *(shown(system) for system in report.systems if system != "model"),
        f"{sum(one.macro_f1 for one in models) / len(models):.3f}",
        f"{sum(one.ece for one in models) / len(models):.3f}",
    ]
    if "oracle gap" in headers(report):
        gaps = [one.oracle.gap for one in found if one.oracle]
        cells.append(f"{sum(gaps) / len(gaps):.3f}" if gaps else "")
    return tuple(cells)


def _accuracy(found: SystemScores | None) -> str:
    if found is None:
        return ""
    size = "" if found.trained_on is None else f" /{found.trained_on:,}"
    return f"{found.mean.accuracy:.3f}{size}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.3f}" if whole else ""


def _markdown_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *cells]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
