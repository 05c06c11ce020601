"""`xformer data fetch`."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import tyro

from xformer.cli.data import DataImport
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.fetch.files import Fetched
    from xformer.data.fetch.http import Client
    from xformer.data.fetch.sources import Plan
    from xformer.progress import Progress

Origin = Literal["tatoeba", "opus", "manythings", "wikimatrix"]


@dataclass(frozen=True)
class DataFetch:
    """Fetch public text: Tatoeba's exports, corpora of OPUS, ManyThings' pairs, WikiMatrix.

    A download that was interrupted goes on where it stopped. A file gets its name when it is whole and its
    checksums are right; a file beside it says where it came from, its SHA-256 and its licence.

    Sentences in three languages and their links: xformer data fetch tatoeba deu eng fra --into texts

    All of Tatoeba, imported at once: xformer data fetch tatoeba --into texts --import corpora/tatoeba

    Which corpora OPUS has for two languages, and one of them: xformer data fetch opus de-en --list; xformer
    data fetch opus Books de-en --into texts --import corpora/books

    Pairs with English: xformer data fetch manythings deu fra --into texts

    Pairs found in Wikipedia: xformer data fetch wikimatrix de-en --into texts --threshold 1.05

    Exit status: 0 all files are here, 1 a server does not give one, 2 unusable names or places. A proxy is
    taken from https_proxy and no_proxy.
    """

    source: tyro.conf.Positional[Origin]
    """Where from."""
    names: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="[NAME ...]")]] = ()
    """For tatoeba and manythings: languages, as codes or English names; for tatoeba, none means all. For
    wikimatrix: pairs such as de-en. For opus: a corpus, and pairs."""
    into: Path = Path("texts")
    """The folder for the files."""
    import_to: Annotated[Path | None, tyro.conf.arg(name="import", metavar="CORPUS")] = None
    """Import the files into a corpus, too: the folder to make."""
    dev: float = DataImport.dev
    """With --import: size of the dev split, as of `xformer data import`."""
    test: float = DataImport.test
    """With --import: size of the test split."""
    list: bool = False
    """List what there is, and fetch nothing."""
    dry_run: bool = False
    """Show addresses and sizes of the files, and fetch nothing."""
    update: bool = False
    """Ask the server whether files that are here have changed, and fetch those again. Tatoeba's exports are
    new each week."""
    release: str = "latest"
    """For opus: the release of the corpus."""
    cc0: bool = False
    """For tatoeba: only the few sentences whose authors gave them away under CC0."""
    threshold: float = 1.04
    """For wikimatrix: least score of a pair that is imported."""
    mirror: str | None = None
    """Another address of the source, with the same files below it. Left out: the environment's
    XFORMER_MIRROR_TATOEBA, XFORMER_MIRROR_OPUS and so on, else the source itself."""
    timeout: float = 60.0
    """Seconds without an answer, or with almost none, after which a request is made again."""
    retries: int = 5
    """Failures in a row after which a file is given up. Waits double from one second to a minute; a server's
    Retry-After counts more."""
    user_agent: str | None = None
    """Name of the program that servers are told."""
    json: bool = False
    """Print one JSON object about the files."""

    def run_command(self) -> int:
        """Fetch the files, maybe import them, and return the exit status."""
        from xformer.data.fetch.errors import FetchError
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        self._check_options()
        if not (self.list or self.dry_run):
            check_output_folder(self.into)
            if self.import_to is not None:
                check_output_folder(self.import_to, new=True)
        with Progress() as progress:
            try:
                client = self._client(progress)
                if self.list:
                    return self._list(client)
                plan = self._plan(client)
                if self.dry_run:
                    return self._show(client, plan)
                files = self._fetch(client, plan, progress)
            except FetchError as error:
                progress.say(f"xformer: {error}")
                return 1
            except KeyboardInterrupt:
                progress.say("what has come is kept; the same command goes on")
                raise
        importing = self._importing(plan, files)
        if self.import_to is not None:
            importing.run_command()
        elif not self.json:
            print(f"import it: xformer {shlex.join(_words(importing))}")
        if self.json:
            print(_json({"source": self.source, "files": [_described(file) for file in files]}))
        return 0

    def _check_options(self) -> None:
        of = {"release": "opus", "cc0": "tatoeba", "threshold": "wikimatrix"}
        defaults = {field.name: field.default for field in fields(self)}
        for name, source in of.items():
            if getattr(self, name) != defaults[name] and self.source != source:
                raise InputError(f"--{name}: expected with {source} only, got {self.source}")
        for name in ("dev", "test"):
            if getattr(self, name) != defaults[name] and self.import_to is None:
                raise InputError(f"--{name}: expected with --import only")

    def _client(self, progress: Progress) -> Client:
        from xformer.data.fetch.http import USER_AGENT, Client

        agent = USER_AGENT if self.user_agent is None else self.user_agent
        return Client(self.timeout, self.retries, user_agent=agent, say=progress.say)

    def _base(self) -> tuple[str, bool]:
        """The address of the source, and whether it is a mirror's."""
        from xformer.data.fetch import opus, tatoeba, wikimatrix
        from xformer.data.fetch.http import check_address

        usual = {
            "tatoeba": tatoeba.TATOEBA,
            "manythings": tatoeba.MANYTHINGS,
            "opus": opus.OPUS,
            "wikimatrix": wikimatrix.WIKIMATRIX,
        }
        mirror = self.mirror or os.environ.get(f"XFORMER_MIRROR_{self.source.upper()}")
        base = (mirror or usual[self.source]).rstrip("/")
        check_address(base)
        return base, bool(mirror)

    def _plan(self, client: Client) -> Plan:
        from xformer.data.fetch import opus, tatoeba, wikimatrix

        base, mirrored = self._base()
        match self.source:
            case "tatoeba":
                return tatoeba.plan_tatoeba(client, base, self.names, cc0=self.cc0)
            case "manythings":
                return tatoeba.plan_manythings(client, base, self.names)
            case "opus":
                api = opus.Opus(client, base, mirrored=mirrored)
                return opus.plan_opus(api, self.names, self.release)
            case "wikimatrix":
                return wikimatrix.plan_wikimatrix(base, self.names, threshold=self.threshold)

    def _list(self, client: Client) -> int:
        from xformer.data.fetch.listing import list_source

        base, mirrored = self._base()
        rows = list_source(client, self.source, base, self.names, mirrored=mirrored)
        if self.json:
            print(_json({"source": self.source, "list": rows}))
        else:
            print("\n".join("  ".join(_cell(value) for value in row.values()) for row in rows))
        return 0

    def _show(self, client: Client, plan: Plan) -> int:
        from xformer.data.fetch.errors import Missing

        rows: list[dict[str, Any]] = []
        for remote in plan.remotes:
            try:
                size = client.size(remote.url)
            except Missing:
                if not remote.optional:
                    raise
                continue
            rows.append({"url": remote.url, "size": size, "path": str(self.into / remote.name)})
        if self.json:
            print(_json({"source": self.source, "files": rows}))
        else:
            for row in rows:
                print(f"{_cell(row['size'])}  {row['url']}")
            known = [row["size"] for row in rows if row["size"] is not None]
            print(f"{sum(known):>15,} bytes in {len(rows)} files, into {self.into}")
        return 0

    def _fetch(self, client: Client, plan: Plan, progress: Progress) -> tuple[Fetched, ...]:
        from xformer.data.fetch.errors import FetchError, Missing
        from xformer.data.fetch.files import fetch_file

        def show(what: str, done: int, total: int | None) -> None:
            progress(what, done, total, in_bytes=True)

        files, absent = [], []
        for remote in plan.remotes:
            try:
                file = fetch_file(client, remote, self.into, plan.licence, update=self.update, show=show)
            except Missing as error:
                if not remote.optional:
                    raise FetchError(
                        f"{error}; the source has no such file, --list shows what there is"
                    ) from error
                absent.append(remote.name)
                continue
            state = f"is here since {file.record.fetched[:10]}" if file.kept else "fetched"
            size = f"{file.record.size:,} bytes, licence {file.record.licence}"
            progress.say(f"{file.path}: {state}, {size}")
            files.append(file)
        if absent:
            progress.say(f"{', '.join(absent)}: the source has no such file; nothing links these languages")
        return tuple(files)

    def _importing(self, plan: Plan, files: tuple[Fetched, ...]) -> DataImport:
        licences = list(dict.fromkeys(file.record.licence for file in files))
        return DataImport(
            format=cast(Any, plan.format),
            files=tuple(file.path for file in files),
            out=self.import_to or Path("corpora", self.source),
            licence="; ".join(licences),
            dev=self.dev,
            test=self.test,
            **cast(Any, plan.options),
        )


def _words(importing: DataImport) -> list[str]:
    """The command that imports what was fetched."""
    words = ["data", "import", importing.format, *map(str, importing.files), "--out", str(importing.out)]
    words += ["--licence", importing.licence]
    return words + ([] if importing.min_score is None else ["--min-score", str(importing.min_score)])


def _described(file: Fetched) -> dict[str, Any]:
    return {"path": str(file.path), "kept": file.kept, "resumed": file.resumed, **asdict(file.record)}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> str:
    if value is None:
        return f"{'size unknown':>15}"
    return f"{value:>15,}" if isinstance(value, int) else str(value)
