r"""The characters that roff has names for, as in `\(co` and `\[u00E9]`. Source: groff_char(7)."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Names and what they mean, in turns.
_NAMES = """
hy - - - mi − ru _ or | en – em — bu • ba | br │ ul _ rn ‾ bb ¦ sl / rs \\ tl ~ ti ~ ha ^ at @ sh # Do $
Cs ¤ ct ¢ eu € Eu € Ye ¥ Po £ Fn ƒ aq ' dq " lq “ rq ” oq ‘ cq ’ Bq „ bq ‚ Fo « Fc » fo ‹ fc › lB [ rB ]
lC { rC } la ⟨ ra ⟩ ga ` aa ´ a^ ˆ a~ ˜ a" ˝ ac ¸ ad ¨ ah ˇ ao ˚ ab ˘ a- ¯ a. ˙ ho ˛ co © rg ® tm ™ dg †
dd ‡ sc § ps ¶ de ° fm ′ sd ″ mc µ Of ª Om º r! ¡ r? ¿ ci ○ sq □ OK ✓ lh ☜ rh ☞ CR ↵ pc · md ⋅ lf ⌊ rf ⌋
lc ⌈ rc ⌉ bv ⎪ SP ♠ CL ♣ HE ♥ DI ♦ lz ◊ <- ← -> → <> ↔ da ↓ ua ↑ va ↕ lA ⇐ rA ⇒ hA ⇔ dA ⇓ uA ⇑ vA ⇕ an ⎯
+- ± -+ ∓ ** ∗ t+- ± mu × tmu × di ÷ tdi ÷ pl + no ¬ tno ¬ c* ⊗ c+ ⊕ eq = == ≡ != ≠ ne ≢ =~ ≅ |= ≃ ap ∼
~~ ≈ ~= ≈ pt ∝ <= ≤ >= ≥ << ≪ >> ≫ es ∅ mo ∈ nm ∉ sb ⊂ nb ⊄ sp ⊃ nc ⊅ ib ⊆ ip ⊇ ca ∩ cu ∪ fa ∀ te ∃ AN ∧
OR ∨ tf ∴ 3d ∴ st ∋ nt ∌ if ∞ is ∫ integral ∫ %0 ‰ sum ∑ product ∏ coproduct ∐ gr ∇ sr √ sqrt √ pd ∂
/_ ∠ pp ⊥ Ah ℵ Im ℑ Re ℜ wp ℘ f/ ⁄ 12 ½ 14 ¼ 34 ¾ 18 ⅛ 38 ⅜ 58 ⅝ 78 ⅞ S1 ¹ S2 ² S3 ³ h- ℏ -h ℏ hbar ℏ
AE Æ ae æ OE Œ oe œ ss ß /L Ł /l ł /O Ø /o ø -D Ð Sd ð TP Þ Tp þ ij ĳ IJ Ĳ .i ı .j ȷ ff ff fi fi fl fl
Fi ffi Fl ffl *A Α *B Β *G Γ *D Δ *E Ε *Z Ζ *Y Η *H Θ *I Ι *K Κ *L Λ *M Μ *N Ν *C Ξ *O Ο *P Π *R Ρ *S Σ
*T Τ *U Υ *F Φ *X Χ *Q Ψ *W Ω *a α *b β *g γ *d δ *e ε *z ζ *y η *h θ *i ι *k κ *l λ *m μ *n ν *c ξ *o ο
*p π *r ρ ts ς *s σ *t τ *u υ *f ϕ *x χ *q ψ *w ω +h ϑ +f φ +p ϖ +e ϵ
"""
_ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    ":": "\u0308",
    "~": "\u0303",
    ",": "\u0327",
    "v": "\u030c",
    "o": "\u030a",
}
_COMPOSITES = {"ga": "`", "aa": "'", "a^": "^", "ad": ":", "a~": "~", "ac": ",", "ah": "v", "ao": "o"}
_CODES = re.compile(r"u([0-9A-F]{4,6}(?:_[0-9A-F]{4,6})*)")
_LARGEST = 0x10FFFF


@cache
def _names() -> dict[str, str]:
    words = _NAMES.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def glyph(name: str) -> str | None:
    """The characters of a name; None if nothing has it.

    Args:
        name: of two characters or more: `co`, `'e`, `u00E9`, `u0065_0301`, `char233`, `e aa`.
    """
    if (found := _names().get(name)) is not None:
        return found
    if codes := _CODES.fullmatch(name):
        joined = "".join(character(int(code, 16)) for code in codes[1].split("_"))
        return unicodedata.normalize("NFC", joined)
    if name.startswith("char") and name[4:].isdecimal() and len(name) < 11:
        return character(int(name[4:]))
    if len(name) == 2 and name[0] in _ACCENTS:
        return _accented(name[1], _ACCENTS[name[0]])
    base, _, accent = name.partition(" ")
    if len(base) == 1 and accent in _COMPOSITES:
        return _accented(base, _ACCENTS[_COMPOSITES[accent]])
    return None


def character(code: int) -> str:
    """The character of a code point; nothing where there is none."""
    is_one = 0 < code <= _LARGEST and not 0xD800 <= code <= 0xDFFF
    return chr(code) if is_one else ""


def _accented(letter: str, accent: str) -> str | None:
    if not letter.isalpha() and letter not in "ıȷ":
        return None
    joined = unicodedata.normalize("NFC", letter + accent)
    return joined if len(joined) == 1 else None
