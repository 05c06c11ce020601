"""The scores of a classifier as tables, for a terminal and in Markdown, and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xformer.data.languages import counted
from xformer.evaluation.classification.report import SYSTEMS, ClassificationReport, LanguageReport
from xformer.evaluation.names import short_names

_NARROW = {
    "bag of subwords": "bag of\nsubwords",
    "not pretrained": "not pre-\ntrained",
    "TF-IDF words": "TF-IDF\nwords",
    "TF-IDF characters": "TF-IDF\ncharacters",
    "macro F1": "macro\nF1",
    "log loss": "log\nloss",
    "ECE before": "ECE\nbefore",
    "oracle gap": "oracle\ngap",
    "TF-IDF's texts": "TF-IDF's\ntexts",
}
_MOST_CONFUSIONS = 5


def accuracy_headers(report: ClassificationReport) -> tuple[str, ...]:
    """Columns of the table of accuracies."""
    others = [SYSTEMS[name] for name in report.systems if name != "model"]
    return ("accuracy", report.answered, "model", "95%", *others)


def accuracy_rows(report: ClassificationReport) -> list[tuple[str, ...]]:
    """A row for each language, the source languages first, then the means over the others."""
    others = [name for name in report.systems if name != "model"]
    found = []
    for name, one in _languages(report):
        model = one.systems["model"]
        cells = [_three(one.systems[each].mean.accuracy) if each in one.systems else "" for each in others]
        between = f"{model.low:.3f}–{model.high:.3f}"
        found.append((name, f"{one.texts:,}", _three(model.mean.accuracy), between, *cells))
    if len(targets := report.targets) > 1:
        texts = sum(report.languages[tag].texts for tag in targets)
        model_mean, *means = (report.mean(each, targets) for each in ("model", *others))
        cells = [_three(one) for one in means]
        found.append((f"mean of {len(targets)}", f"{texts:,}", _three(model_mean), "", *cells))
    return found


def score_headers(report: ClassificationReport) -> tuple[str, ...]:
    """Columns of the table of the model's other scores."""
    within = ("TF-IDF's texts",) if {"words", "characters"} & set(report.systems) else ()
    return (
        "model",
        "macro F1",
        "log loss",
        "ECE",
        "ECE before",
        *(("oracle gap",) if _watched(report) else ()),
        *within,
    )


def score_rows(report: ClassificationReport) -> list[tuple[str, ...]]:
    """The same rows with the model's other scores."""
    columns = score_headers(report)
    found = []
    for name, one in _languages(report):
        mean, words = one.systems["model"].mean, one.systems.get("words")
        cells = [*map(_three, (mean.macro_f1, mean.log_loss, mean.ece, one.uncalibrated.ece))]
        if "oracle gap" in columns:
            cells.append("" if one.oracle is None else _three(one.oracle.gap))
        if "TF-IDF's texts" in columns:
            cells.append("" if words is None or words.trained_on is None else f"{words.trained_on:,}")
        found.append((name, *cells))
    return found


def classification_table(report: ClassificationReport) -> RenderableType:
    """The tables, and what they say."""
    tables: list[RenderableType] = []
    for heads, cells in (
        (accuracy_headers(report), accuracy_rows(report)),
        (score_headers(report), score_rows(report)),
    ):
        table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
        for index, header in enumerate(_NARROW.get(name, name) for name in heads):
            table.add_column(
                header, justify="right" if index else "left", vertical="bottom", no_wrap=not index
            )
        for row in cells:
            table.add_row(*row)
        tables += [table, Text()]
    return Group(Text(title(report), style="bold"), Text(), *tables, *map(Text, summary(report)))


def markdown(report: ClassificationReport) -> str:
    """The same as Markdown, with a table of the classes."""
    parts = [
        f"{title(report)}\n",
        markdown_of(accuracy_headers(report), accuracy_rows(report)),
        markdown_of(score_headers(report), score_rows(report)),
    ]
    parts += [f"- {line}" for line in summary(report)]
    if classes := class_rows(report):
        parts += [
            "",
            f"Classes in {', '.join(class_languages(report))}:\n",
            markdown_of(class_headers(report), classes),
        ]
    return "\n".join(parts) + "\n"


def title(report: ClassificationReport) -> str:
    """What was measured."""
    kind = "A probe of" if report.frozen else "Fine-tuned from"
    return (
        f"{kind} {report.base}: {len(report.labels)} classes, {report.train_texts:,} training"
        f" {report.examples} in {', '.join(report.source)}, tested in {counted(len(report.languages))}"
    )


def summary(report: ClassificationReport) -> list[str]:
    """What the columns mean, and what stands out."""
    dev = ", ".join(f"{value:.3f}" for value in report.dev_accuracy)
    steps = ", ".join(f"{step:,}" for step in report.step)
    lines = [
        f"Accuracy: share of {report.answered} whose label is right"
        + (", all of them where there are several." if report.multi_label else "."),
        f"Checkpoints were chosen on held-out {report.examples} of {', '.join(report.source)} alone:"
        f" accuracy {dev} at step {steps}.",
    ]
    temperatures = ", ".join(f"{value:.2f}" for value in report.temperature)
    lines.append(
        f"ECE: expected calibration error, with the temperature ({temperatures}) that the same held-out texts"
        " chose; before: without it."
    )
    if report.parallel is not None:
        lines.append(
            f"The model also learned from translations without labels, of the corpus {report.parallel}; so"
            f" it knows more than {', '.join(report.source)} alone."
        )
    if len(report.seeds) > 1:
        lines.append(
            f"Means over {len(report.seeds)} seeds; intervals by bootstrap over {report.examples} and seeds."
        )
    within = [SYSTEMS[name] for name in ("words", "characters") if name in report.systems]
    if within:
        lines.append(
            f"{' and '.join(within)}: logistic regression, trained within each language; the model learns in"
            f" {', '.join(report.source)} alone."
        )
    if _watched(report):
        lines.append(
            "oracle gap: what choosing the checkpoint by the language's own tests would have added; it is"
            " in no other number."
        )
    where = ", ".join(class_languages(report))
    lines += [f"Most often confused in {where}: {line}." for line in confusions(report)[:1]]
    return lines


def class_languages(report: ClassificationReport) -> tuple[str, ...]:
    """The languages whose classes are shown: those that it learned in, or if none was tested, all."""
    counted_in = {tag: one.source for tag, one in report.languages.items() if one.confusion}
    sources = tuple(tag for tag, source in counted_in.items() if source)
    return sources or tuple(counted_in)


def class_headers(report: ClassificationReport) -> tuple[str, ...]:
    """Columns of the table of classes."""
    return ("class", report.answered, "precision", "recall", "F1", "mostly taken for")


def class_rows(report: ClassificationReport) -> list[tuple[str, ...]]:
    """Precision, recall and F1 of each class in `class_languages`; none with several labels a text."""
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
    """The commonest mistakes in `class_languages`, in words."""
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
    tables = [report.languages[tag].confusion for tag in class_languages(report)]
    if not tables:
        return None
    size = range(len(report.labels))
    return [[sum(table[row][column] for table in tables) for column in size] for row in size]


def _languages(report: ClassificationReport) -> list[tuple[str, LanguageReport]]:
    """Each language with its name, the source languages first."""
    tags = sorted(report.languages, key=lambda tag: (not report.languages[tag].source, tag))
    names = short_names(tags)
    return [(names[tag], report.languages[tag]) for tag in tags]


def _watched(report: ClassificationReport) -> bool:
    return any(one.oracle is not None for one in report.languages.values())


def _three(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.3f}" if whole else ""


def markdown_of(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *cells]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
