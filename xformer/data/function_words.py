"""Frequent words of languages that share a script: enough to tell one from another in a page of text."""

from __future__ import annotations

from functools import cache

# Articles, prepositions, conjunctions, pronouns and forms of "be" and "have". Words of one Latin letter are
# left out: names of variables and placeholders (%s, %d) are full of them.
_WORDS = """
af: die van het nie wat dat om te met vir sy op hy aan ek is daar ons deur
ar: في من على أن إلى لا التي عن هذا مع الذي هذه ما كان أو لم بين هو
be: не на што да як гэта па за ад але для або яго ў і з
bg: на да се за от не са като по че това или до при е с в
ca: de la el que les els en un una per amb és del no al es com dels són aquest més
cs: se na je to že do ve pro za by jsou nebo při jako aby ale jeho který která si
da: og at det er en på af til for med den ikke som et der har kan de fra eller skal ved sig efter noget hvad
de: der die und das ist nicht den von zu mit sich des auf für dem ein eine im auch als werden wird oder
en: the of and to in is that for it with as was on are be this by at from an not or have which you
es: el la los de que en las del una por con para se su no es como más al lo un está sus
et: ja on ei et see oli ka kui aga või mis seda selle ning oma kes siis välja
eu: eta da ez bat ere dira izan du zen edo baina egin dute duen bere
fa: در به از که این را با است برای آن یا می شود تا و شده
fi: ja on ei että se oli ole kun voi hän mutta tai kuin myös sen ovat niin joka jos nyt tämä
fr: le la les des et est une du dans que pour pas sur qui par au ce avec sont plus ne vous un de
gl: de que do da en un para unha non os por con máis as dos ao se na no foi
hi: के में है की और से को का कि नहीं पर यह हैं ने एक लिए
hr: je se na da su za od ne koji kao što ili iz te nije bi sa samo može
hu: az és hogy nem egy is van ez meg ha csak volt mint el már vagy még lehet
id: yang dan di dengan untuk dari ini tidak itu pada dalam akan ke atau oleh ada adalah telah anda
is: og að er sem það til um við en var með ekki hann af ég þú eða
it: il di che la è per un una del non sono della con le si da alla nel gli dei lo al
lt: ir yra kad su iš ne tai bet nuo kaip apie ar buvo už arba dėl šis
lv: un ir ar no uz par ka kas nav bet vai tas pie lai tiek kā var
mk: на во да се за од не со што ги како или до е и
mr: आहे आणि या ते व हे नाही होते आहेत असे करा
nb: og det er en på av til for med den ikke som et har kan de fra eller skal ved seg etter noe hva
ne: छ र मा ले यो हुन् गर्न पनि भने छन् गर्नुहोस्
nl: de het een van en is dat niet op te zijn voor met die aan er om ook als bij worden door naar wordt
nn: og det er ein på av til for med den ikkje som eit har kan dei frå eller skal ved seg etter noko kva
pl: na się nie do jest to że jak po co dla od za przez przy są lub ale być tego
pt: que do da em um para não uma os no na por com se mais as dos ao foi são ou de
ro: și în de la cu nu pe este din să care că un pentru mai sau au se al fi
ru: не на что по это как из за от но для или его же так и в с к
sk: sa na je to že do aj vo pre za by sú alebo pri ako aby ale jeho ktorý ktorá si
sl: in je na se da za so ki pa ne ni bi po tudi ali kot od do
sq: të dhe në një me për që nga është më do nuk ka si së
sr: је се на да су за од не који као што или из те није у и
sv: och att det som en på är av för med den till inte ett om har de kan från när eller ska
tr: ve bir bu da de için ile olarak daha çok olan ne gibi değil var en kadar sonra
uk: не на що до та як це по за від але для або його є й з і
ur: کے میں کی ہے اور سے کا کو نہیں پر یہ نے کہ ہیں
vi: là của và có được không các cho trong một này người với những để khi đã từ
"""

# Languages with the words of another. Those that share a list are not told apart.
_SAME = {"bs": "hr", "sh": "hr", "ms": "id", "no": "nb"}


def words_of(language: str) -> frozenset[str]:
    """The frequent words of a language, in lower case; none if the language is not known here.

    Args:
        language: primary subtag, such as `de`. Serbian has Cyrillic words, and the Latin ones of Croatian.
    """
    known, name = _table(), _SAME.get(language, language)
    return known["sr"] | known["hr"] if name == "sr" else known.get(name, frozenset())


@cache
def languages_by_word() -> dict[str, tuple[str, ...]]:
    """For each word, the languages that have it."""
    found: dict[str, list[str]] = {}
    for language in _table():
        for word in words_of(language):
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}


@cache
def _table() -> dict[str, frozenset[str]]:
    rows = (line.partition(": ") for line in _WORDS.strip().split("\n"))
    return {language: frozenset(words.split()) for language, _, words in rows}
