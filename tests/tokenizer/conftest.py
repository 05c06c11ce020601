"""A few sentences in many scripts, and small vocabularies trained on them."""

from __future__ import annotations

import pytest

from xformer.tokenizer import Tokenizer, TokenizerOptions, train_tokenizer

# One message a row, told in every language: parallel text.
SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "The cat sleeps on the warm roof.",
        "Where is the nearest railway station?",
        "My grandmother bakes bread every morning.",
        "Please close the window, it is raining.",
        "The children are reading a book about the stars.",
    ),
    "de": (
        "Die Katze schläft auf dem warmen Dach.",
        "Wo ist der nächste Bahnhof?",
        "Meine Großmutter backt jeden Morgen Brot.",
        "Bitte schließen Sie das Fenster, es regnet.",
        "Die Kinder lesen ein Buch über die Sterne.",
    ),
    "vi": (
        "Con mèo ngủ trên mái nhà ấm.",
        "Nhà ga gần nhất ở đâu?",
        "Bà tôi nướng bánh mì mỗi buổi sáng.",
        "Làm ơn đóng cửa sổ, trời đang mưa.",
        "Bọn trẻ đang đọc một cuốn sách về các vì sao.",
    ),
    "ru": (
        "Кошка спит на тёплой крыше.",
        "Где находится ближайший вокзал?",
        "Моя бабушка каждое утро печёт хлеб.",
        "Пожалуйста, закройте окно, идёт дождь.",
        "Дети читают книгу о звёздах.",
    ),
    "ar": (
        "القطة تنام على السطح الدافئ.",
        "أين أقرب محطة قطار؟",
        "جدتي تخبز الخبز كل صباح.",
        "من فضلك أغلق النافذة، إنها تمطر.",
        "الأطفال يقرؤون كتابًا عن النجوم.",
    ),
    "he": (
        "החתול ישן על הגג החם.",
        "איפה תחנת הרכבת הקרובה?",
        "סבתא שלי אופה לחם כל בוקר.",
        "בבקשה סגרו את החלון, יורד גשם.",
        "הַיְלָדִים קוֹרְאִים סֵפֶר עַל הַכּוֹכָבִים.",
    ),
    "hi": (
        "बिल्ली गर्म छत पर सोती है।",
        "सबसे नज़दीकी रेलवे स्टेशन कहाँ है?",
        "मेरी दादी हर सुबह रोटी बनाती हैं।",
        "कृपया खिड़की बंद करें, बारिश हो रही है।",
        "बच्चे तारों के बारे में एक किताब पढ़ रहे हैं।",
    ),
    "th": (
        "แมวนอนอยู่บนหลังคาอุ่น",
        "สถานีรถไฟที่ใกล้ที่สุดอยู่ที่ไหน",
        "คุณยายของฉันอบขนมปังทุกเช้า",
        "กรุณาปิดหน้าต่าง ฝนกำลังตก",
        "เด็ก ๆ กำลังอ่านหนังสือเกี่ยวกับดวงดาว",
    ),
    "zh-Hans": (
        "猫睡在温暖的屋顶上。",
        "最近的火车站在哪里?",
        "我奶奶每天早上烤面包。",
        "请关上窗户,下雨了。",
        "孩子们正在读一本关于星星的书。",
    ),
    "ja": (
        "猫は暖かい屋根の上で寝ています。",
        "一番近い駅はどこですか。",
        "祖母は毎朝パンを焼きます。",
        "雨が降っているので窓を閉めてください。",
        "子供たちは星についての本を読んでいます。",
    ),
    "ko": (
        "고양이가 따뜻한 지붕 위에서 잔다.",
        "가장 가까운 기차역이 어디예요?",
        "할머니는 매일 아침 빵을 구우신다.",
        "비가 오니 창문을 닫아 주세요.",
        "아이들이 별에 관한 책을 읽고 있다.",
    ),
    "ka": (
        "კატას თბილ სახურავზე სძინავს.",
        "სად არის უახლოესი სადგური?",
        "ბებიაჩემი ყოველ დილით პურს აცხობს.",
        "გთხოვთ, დახუროთ ფანჯარა, წვიმს.",
        "ბავშვები წიგნს კითხულობენ ვარსკვლავებზე.",
    ),
}

# What trips tokenizers up: each must survive encoding and decoding unchanged.
ODD_TEXTS: dict[str, str] = {
    "empty": "",
    "one space": " ",
    "spaces only": "    ",
    "spaces around and within": "  two   spaces  ",
    "line breaks and tabs": "one\ntwo\r\nthree\tfour\n",
    "other line breaks": "a\u2028b\u2029c\u0085d\x0be\x0cf",
    "other spaces": "a\u00a0b\u3000c\u2009d\u200be",
    "nul": "a\x00b",
    "control characters": "".join(map(chr, range(32))) + "\x7f",
    "space mark": "\u2581",
    "space mark and spaces": "\u2581 a\u2581b \u2581\u2581 ",
    "unknown mark": "a\u2585b",
    "special tokens": "<s>a</s> <pad><unk> <mask>",
    "byte pieces": "<0x41><0x0A> <0xFF>",
    "replacement character": "a\ufffdb",
    "non-characters": "a\uffff\ufdd0\U0010ffffb",
    "byte order mark": "\ufeffa\ufeff",
    "emoji": "👍🏽 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🇬🇪 ❤️",
    "decomposed": "e\u0301 a\u0323\u0302 \u1112\u1161\u11ab",
    "many marks": "a" + "\u0301" * 40,
    "compatibility characters": "ｆｕｌｌ ﬁ x² ① ｶﾞ ㌔",
    "points out of order": "\u05d1\u05bc\u05b8 \u0628\u0651\u064e",
    "right to left": "\u202bשלום\u202c \u200fمرحبا\u200e",
    "joiners": "نمی\u200cخواهم क्\u200dष",
    "rare scripts": "𐌰𐌱 ᚠᚢᚦ 𒀀 ⵣ ᏣᎳᎩ 𠮷",
}


def labelled() -> list[tuple[str, str]]:
    return [(language, text) for language, texts in SENTENCES.items() for text in texts]


@pytest.fixture(scope="session")
def sentences() -> list[tuple[str, str]]:
    """`(language, text)` in twelve languages and ten scripts."""
    return labelled()


@pytest.fixture(scope="session")
def parallel() -> list[tuple[str, str, int]]:
    """`(language, text, group)`: the same, with the message that each text tells."""
    return [(language, text, i) for language, texts in SENTENCES.items() for i, text in enumerate(texts)]


@pytest.fixture(params=list(ODD_TEXTS), scope="session")
def odd_text(request: pytest.FixtureRequest) -> str:
    """Each text that is hard to give back."""
    return ODD_TEXTS[request.param]


@pytest.fixture(scope="session")
def unigram() -> Tokenizer:
    return train_tokenizer(labelled(), TokenizerOptions(vocabulary_size=720))


@pytest.fixture(scope="session")
def bpe() -> Tokenizer:
    return train_tokenizer(labelled(), TokenizerOptions(vocabulary_size=1200, model="bpe"))


@pytest.fixture(params=["unigram", "bpe"], scope="session")
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Each kind of vocabulary, not normalising."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Tokenizer)
    return found
