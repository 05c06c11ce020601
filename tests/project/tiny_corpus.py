"""Write a small parallel corpus as JSON lines: the same synthetic sentences in three languages.

For the README's commands: `python tests/project/tiny_corpus.py tiny.jsonl`. With `labels` behind it, it
writes labelled texts into the working folder as well, for the commands of docs/classify.md: train.en.tsv,
dev.en.tsv, test.de.tsv, test.fr.tsv, texts.txt and news.parquet; the label is the verb, in English.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

WORDS = {
    "en": (
        ("the dog", "the cat", "my brother", "her teacher", "a neighbour", "the old woman", "nobody"),
        ("sees", "buys", "paints", "forgets", "carries", "finds"),
        ("the red house", "three apples", "a green book", "the old window", "our bicycle", "bread"),
    ),
    "de": (
        ("der Hund", "die Katze", "mein Bruder", "ihr Lehrer", "ein Nachbar", "die alte Frau", "niemand"),
        ("sieht", "kauft", "malt", "vergisst", "trägt", "findet"),
        ("das rote Haus", "drei Äpfel", "ein grünes Buch", "das alte Fenster", "unser Fahrrad", "Brot"),
    ),
    "fr": (
        ("le chien", "le chat", "mon frère", "son professeur", "un voisin", "la vieille dame", "personne"),
        ("voit", "achète", "peint", "oublie", "porte", "trouve"),
        ("la maison rouge", "trois pommes", "un livre vert", "la vieille fenêtre", "notre vélo", "du pain"),
    ),
}


def main(path: Path) -> None:
    """Write 252 sentences in each language to `path`."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for language, words in WORDS.items():
            for number, sentence in enumerate(itertools.product(*words)):
                row = {"text": " ".join(sentence), "language": language, "group": str(number)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_labels(folder: Path) -> None:
    """Write the labelled texts."""
    import pyarrow
    import pyarrow.parquet

    def rows(language: str) -> list[str]:
        verbs = dict(zip(WORDS[language][1], WORDS["en"][1], strict=True))
        return [f"{' '.join(words)}\t{verbs[words[1]]}" for words in itertools.product(*WORDS[language])]

    english = rows("en")
    files = {"train.en.tsv": [row for n, row in enumerate(english) if n % 5], "dev.en.tsv": english[::5]}
    files |= {f"test.{language}.tsv": rows(language)[::4] for language in ("de", "fr")}
    for name, lines in files.items():
        (folder / name).write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")
    texts = [row.split("\t")[0] for row in rows("de")[:9]]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    pyarrow.parquet.write_table(pyarrow.table({"title": texts}), folder / "news.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    if sys.argv[2:] == ["labels"]:
        write_labels(Path())
