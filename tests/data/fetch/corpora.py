"""A server with a little of each source, under the paths that the real ones have."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from urllib.parse import urlencode

from tests.data.fetch.server import Server

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
GERMAN = ("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn")
FRENCH = ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix")

README = """ Corpus Name: Books
     Release: v1
     License: <a href=https://example.org/licence?a=1&amp;b=2 target="_blank">CC-BY-SA 4.0</a>

This corpus is part of OPUS
"""


def sentences(words: tuple[str, ...]) -> list[str]:
    """A hundred texts, none of them nearly another."""
    pairs = [f"{a} {b}" for a in words for b in words]
    return [f"{pair} {hashlib.sha256(pair.encode()).hexdigest()}" for pair in pairs]


ENGLISH_LINES, GERMAN_LINES = sentences(NUMBERS), sentences(GERMAN)


def index(*names: str) -> bytes:
    """A page as servers make for a folder."""
    links = "".join(f'<a href="{name}">{name}</a>  01-Dec-2026 03:00  12345\n' for name in ("../", *names))
    return f'<html><body><pre><a href="?C=N;O=D">Name</a>\n{links}</pre></body></html>'.encode()


def tarred(name: str, text: str) -> bytes:
    """A .tar.bz2 with one file."""
    packed, content = io.BytesIO(), text.encode()
    with tarfile.open(fileobj=packed, mode="w:bz2") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(files: dict[str, str]) -> bytes:
    """A zip of texts."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def serve_tatoeba(server: Server) -> str:
    """Sentences 0 to 99 in English, 1000 to 1099 in German, 2000 to 2099 in French, which has no links."""
    rows = {
        "eng": [f"{number}\teng\t{text}\n" for number, text in enumerate(ENGLISH_LINES)],
        "deu": [f"{1000 + number}\tdeu\t{text}\n" for number, text in enumerate(GERMAN_LINES)],
        "fra": [f"{2000 + number}\tfra\t{text}\n" for number, text in enumerate(sentences(FRENCH))],
    }
    links = "".join(f"{1000 + number}\t{number}\n" for number in range(100))
    folder = "/exports/per_language"
    server.files[f"{folder}/"] = index("ara/", "deu/", "eng/", "fra/", "cmn/", "yue/")
    for code, lines in rows.items():
        server.files[f"{folder}/{code}/{code}_sentences.tsv.bz2"] = bz2.compress("".join(lines).encode())
    free = "".join(f"{line.rstrip()}\t2026-01-01 00:00:00\n" for line in rows["eng"][:40])
    server.files[f"{folder}/eng/eng_sentences_CC0.tsv.bz2"] = bz2.compress(free.encode())
    server.files[f"{folder}/deu/deu-eng_links.tsv.bz2"] = bz2.compress(links.encode())
    everything = "".join(line for lines in rows.values() for line in lines)
    server.files["/exports/sentences.tar.bz2"] = tarred("sentences.csv", everything)
    server.files["/exports/links.tar.bz2"] = tarred("links.csv", links)
    return f"{server.url}/exports"


def serve_manythings(server: Server) -> str:
    """German with attributions, as it comes."""
    pairs = zip(ENGLISH_LINES, GERMAN_LINES, strict=True)
    lines = "".join(f"{a}\t{b}\tCC-BY 2.0 (France) Attribution: tatoeba.org #1\n" for a, b in pairs)
    server.files["/anki/"] = index("deu-eng.zip", "fra-eng.zip", "../about.html")
    server.files["/anki/deu-eng.zip"] = zipped({"deu.txt": lines, "_about.txt": "about"})
    return f"{server.url}/anki"


def serve_wikimatrix(server: Server) -> str:
    """Scores from 1.10 downwards; half of the pairs have 1.04 or more."""
    pairs = zip(GERMAN_LINES, ENGLISH_LINES, strict=True)
    lines = "".join(f"{1.10 - number * 0.00121:.5f}\t{a}\t{b}\n" for number, (a, b) in enumerate(pairs))
    server.files["/v1/WikiMatrix.de-en.tsv.gz"] = gzip.compress(lines.encode())
    return f"{server.url}/v1"


def opus_entry(corpus: str, version: str, pair: str) -> dict[str, object]:
    """An entry of the API."""
    source, target = pair.split("-")
    path = f"OPUS-{corpus}/{version}/moses/{pair}.txt.zip"
    entry = {"alignment_pairs": 100, "corpus": corpus, "documents": "", "id": 1, "latest": "True"}
    entry |= {"preprocessing": "moses", "size": 3, "source": source, "source_tokens": 300, "target": target}
    return entry | {"target_tokens": 300, "url": f"https://object.pouta.csc.fi/{path}", "version": version}


def serve_opus(server: Server) -> str:
    """Books v1 in de-en and de-fr, and a few other names."""
    found = [opus_entry("Books", "v1", pair) for pair in ("de-en", "de-fr")]

    def answer(entries: object, **query: str) -> None:
        server.files[f"/opusapi/?{urlencode(query)}"] = json.dumps({"corpora": entries}).encode()

    moses, latest = {"preprocessing": "moses"}, {"version": "latest"}
    answer(["Books", "bible-uedin", "Tatoeba"], corpora="True")
    answer(found[:1], corpus="Books", source="de", target="en", **moses, **latest)
    answer(found[:1], corpus="Books", source="de", target="en", **moses, version="v1")
    answer([], corpus="Books", source="de", target="en", **moses, version="v9")
    answer(found[:1], corpus="Books", source="de", target="en", **moses)
    answer(found[:1], source="de", target="en", **moses, **latest)
    answer(found, corpus="Books", **moses, **latest)
    for missing in (
        {"corpus": "Books", "source": "en", "target": "fr"},
        {"corpus": "Boks", "source": "de", "target": "en"},
    ):
        answer([], **missing, **moses, **latest)
        answer([], **missing, **moses)
    files = {
        "Books.de-en.de": "\n".join(GERMAN_LINES) + "\n",
        "Books.de-en.en": "\n".join(ENGLISH_LINES) + "\n",
    }
    server.files["/OPUS-Books/v1/moses/de-en.txt.zip"] = zipped(
        files | {"README": README, "LICENSE": "see README"}
    )
    return server.url
