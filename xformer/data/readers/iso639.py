"""Conversion of ISO 639-3 codes to BCP-47 tags, which use the two-letter code if there is one."""

from __future__ import annotations

from xformer.data.record import normalize_language

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


def shortest_tag(code: str) -> str:
    """The BCP-47 tag of an ISO 639-3 code: `deu` → `de`, `cmn` → `zh`, `ckb` → `ckb`.

    Raises:
        InputError: `code` is not a language tag.
    """
    tag = normalize_language(code)
    return _SHORT.get(tag, tag)
