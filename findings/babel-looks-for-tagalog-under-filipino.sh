#!/usr/bin/env bash
# Babel turns a language code into another language's code, so its loader misses the catalogue.
#
# Most expect: Locale.parse("tl") is Tagalog, "tw" is Twi and "tgl" maps to "tl", as in ISO 639; and that a catalogue in the
# folder "tl" is found by Babel as it is by gettext.
# Seen: the aliases replace a language by another one, by a bigger one or by a script's variant: tgl and tl become fil,
# twi and tw become ak, hbs and sh become sr_Latn. Locale.parse gives fil_PH and ak_GH, with a country that nobody named;
# Translations.load with such a Locale passes over the catalogue in "tl" or "tw" without a word. With the plain string, and
# in gettext, the catalogue is found.
# Version: Babel 2.19.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check babel==2.19.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import gettext
import pathlib
import sys

from babel import Locale
from babel.core import get_global
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.support import Translations

root = pathlib.Path(sys.argv[1]) / "locale"
aliases = get_global("language_aliases")
seen = {code: str(aliases.get(code)) for code in ("tgl", "tl", "twi", "tw", "hbs", "sh")}
print("aliases:", seen)
assert seen == {"tgl": "fil", "tl": "fil", "twi": "ak", "tw": "ak", "hbs": "sr_Latn", "sh": "sr_Latn"}, "changed"
for code, became in (("tl", "fil_PH"), ("tw", "ak_GH"), ("sw", "sw")):
    messages = root / code / "LC_MESSAGES"
    messages.mkdir(parents=True)
    catalog = Catalog()
    catalog.add("yes", "translated")
    with open(messages / "messages.mo", "wb") as file:
        write_mo(file, catalog)
    locale = Locale.parse(code)
    by_locale = Translations.load(root, [locale]).gettext("yes")
    by_name = Translations.load(root, [code]).gettext("yes")
    by_gettext = gettext.translation("messages", root, [code]).gettext("yes")
    print(f"{code}: Locale {locale}; by Locale {by_locale!r}, by name {by_name!r}, gettext {by_gettext!r}")
    assert str(locale) == became, "the behaviour has changed"
    assert by_locale == ("translated" if became == code else "yes"), "the behaviour has changed"
    assert by_name == by_gettext == "translated", "the behaviour has changed"
PYTHON
