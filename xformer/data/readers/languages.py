"""The languages of files, from their names, and BCP-47 tags of ISO 639-3 codes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from xformer.data.readers.lines import FilePath, uncompressed_name
from xformer.data.record import normalize_language
from xformer.errors import InputError

_LANGUAGE_LIKE = re.compile(r"[a-z]{2,3}([-_@][A-Za-z0-9]{2,8})*")
# Ends of file names that look like three-letter language codes but are not.
_NO_LANGUAGE = frozenset({"csv", "hyp", "out", "raw", "ref", "sgm", "src", "tgt", "trg", "tsv", "txt", "xml"})
# ISO 639-1 codes, each with its ISO 639-3 code. If ISO 639-3 divides a language into several, the code of the
# one that CLDR uses for it follows (Mandarin for Chinese, Iranian for Persian).
_TWO_LETTERS = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara,arb as:asm av:ava ay:aym,ayr az:aze,azj ba:bak
be:bel bg:bul bi:bis bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu
cv:chv cy:cym da:dan de:deu dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est,ekk eu:eus fa:fas,pes
ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg gn:grn,gug gu:guj gv:glv ha:hau he:heb hi:hin
ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl it:ita
iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur,kmr
kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav,lvs mg:mlg,plt mh:mah
mi:mri mk:mkd ml:mal mn:mon,khk mr:mar ms:msa,zsm mt:mlt my:mya na:nau nb:nob nd:nde ne:nep,npi ng:ndo
nl:nld nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori,ory os:oss pa:pan pi:pli pl:pol ps:pus
pt:por qu:que,quz rm:roh rn:run ro:ron ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk sl:slv
sm:smo sn:sna so:som sq:sqi,als sr:srp ss:ssw st:sot su:sun sv:swe sw:swa,swh ta:tam te:tel tg:tgk th:tha
ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb,uzn ve:ven
vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho,cmn zu:zul
"""
_SHORT = {
    long: short
    for short, _, longs in (entry.partition(":") for entry in _TWO_LETTERS.split())
    for long in longs.split(",")
}


def language_of(path: FilePath, language: str | None, endings: Sequence[str] = ()) -> str:
    """The language of a file: `language` if given, else the last part of its name: `train.pt_BR.jsonl.gz`.

    Args:
        path: the file; only its name is used.
        language: the language that the user gave.
        endings: the endings of the format, which are removed first: `(".jsonl",)`.

    Raises:
        InputError: `language` is not a language tag, or is None and the name does not end in one.
    """
    if language is not None:
        return normalize_language(language)
    stem = uncompressed_name(path)
    for ending in endings:
        stem = stem.removesuffix(ending)
    last = stem.rpartition(".")[2]
    if not _LANGUAGE_LIKE.fullmatch(last) or last in _NO_LANGUAGE:
        raise InputError(
            f"{os.fspath(path)}: the file's name does not give the language: expected an end such as "
            f"'.de{endings[0] if endings else ''}', or the option --languages"
        )
    return normalize_language(last)


def languages_of(
    paths: Sequence[FilePath], languages: Sequence[str] | None, endings: Sequence[str] = ()
) -> list[str]:
    """The language of each of several files, see `language_of`.

    Raises:
        InputError: there are more or fewer `languages` than `paths`, or a name gives no language.
    """
    if languages is None:
        return [language_of(path, None, endings) for path in paths]
    if len(languages) != len(paths):
        raise InputError(f"expected one language for each of {len(paths)} files, got {len(languages)}")
    return [normalize_language(language) for language in languages]


def shortest_tag(code: str) -> str:
    """The BCP-47 tag of an ISO 639-3 code, in two letters if possible: `cmn` → `zh`, `ckb` → `ckb`.

    Raises:
        InputError: `code` is not a language tag.
    """
    tag = normalize_language(code)
    return _SHORT.get(tag, tag)
