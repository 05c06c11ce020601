"""Write a small parallel corpus as JSON lines: the same synthetic sentences in three languages.

For the README's commands: `python tests/project/tiny_corpus.py tiny.jsonl`.
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
