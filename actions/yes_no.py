"""Understands a plain yes or no in ten languages. Careful by design: whatever is more than that is OTHER.

A message counts only if all of it is made of yes-phrases (or all of no-phrases) and politeness, and if nothing beside
the words casts doubt on them. "Yes, but …", "no problem, go on", a question, a yes with a condition, with laughter or
with any sign that is not known to be friendly are ordinary messages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum

from actions.folding import without_invisible

MAX_CHARACTERS = 60


class YesNo(StrEnum):
    YES = "yes"
    NO = "no"
    OTHER = "other"


_YES = """
yes|yes please|yes please do|yes do it|yes i do|yes i am sure|yeah|yea|yep|yup|sure|sure thing|of course|ok|okay|okey
|okie|k|go ahead|please do|do it|confirm|confirmed|i confirm|i agree|agreed|correct|right|that is right|thats right
|that s right|definitely|absolutely|certainly|y
|ya|iya|yaa|betul|boleh|boleh saja|setuju|saya setuju|sahkan|baik|baiklah|teruskan|ya betul|ya sila|silakan|tentu
|tentu saja|benar|oke|lanjutkan|ya lanjutkan|saya sahkan|sah
|是|是的|好|好的|好呀|好啊|可以|行|对|对的|没错|确认|同意|我同意|我确认|要|嗯|嗯嗯|當然|当然|是啊|對|確認|好吧
|si|claro|claro que si|por supuesto|vale|de acuerdo|confirmo|confirmar|correcto|adelante|hazlo|si por favor|dale
|desde luego|exacto|esta bien
|sim|sim por favor|claro que sim|com certeza|pode|pode ser|pode sim|concordo|isso|isso mesmo|certo|de acordo|esta bem
|oui|ouais|bien sur|d accord|daccord|je confirme|confirmer|c est bon|allez y|vas y|certainement|tout a fait|volontiers
|ja|jawohl|jo|klar|na klar|genau|gern|gerne|einverstanden|bestatigt|ich bestatige|bestatigen|sicher|naturlich|ja bitte
|in ordnung|passt|mach das|machen sie das
|نعم|اجل|ايوه|ايوا|موافق|موافقه|اوافق|انا موافق|تمام|اكيد|بالتاكيد|طبعا|حسنا|اوكي|صحيح|اؤكد|بلي|نعم من فضلك
|हाँ|हां|हा|जी|जी हाँ|जी हां|हाँ जी|हां जी|ठीक है|ठीक|सही|सही है|बिल्कुल|बिलकुल|ज़रूर|जरूर|पुष्टि|सहमत|मैं सहमत हूँ
|मैं सहमत हूं|कर दो|कर दीजिए|ओके|haan|han|haan ji|ji haan|ji|theek hai|thik hai|bilkul|zaroor|sahi hai
"""
_NO = """
no|nope|nah|no thanks|no thank you|not now|never|never mind|nevermind|dont|do not
|don t|please dont|please don t|please do not|dont do it|don t do it|do not do it|n|negative|i disagree|no way
|tidak|tak|tak nak|tak mahu|tak mau|tidak mahu|tidak mau|jangan|bukan|tidak setuju|tak setuju|nggak
|enggak|gak|ga|ndak|tidak jadi|gak jadi|tak jadi|tidak usah|tak payah|ga usah|gak usah
|不|不是|不是的|不要|不用|不用了|不行|不可以|不好|不对|不同意|我不同意|算了|别|没有|否|不需要|不了|不必|不對
|no gracias|no quiero|mejor no|para nada|nunca|de ninguna manera|no lo hagas
|no estoy de acuerdo
|nao|nao obrigado|nao obrigada|nao quero|melhor nao|de jeito nenhum|nao faca isso|nao concordo|nem pensar
|non|non merci|surtout pas|pas maintenant|pas du tout|jamais|je ne veux pas|pas d accord
|nein|nein danke|ne|nee|lieber nicht|nicht|auf keinen fall|bitte nicht|nicht jetzt|niemals
|لا|كلا|لا شكرا|لا اريد|لا اوافق|غير موافق|مش موافق|لست موافقا|ليس الان|ابدا|لا تفعل|لاء
|नहीं|नही|ना|न|जी नहीं|जी नही|नहीं जी|मत करो|मत कीजिए|मत करना|रहने दो|रहने दीजिए|नहीं चाहिए
|असहमत|nahi|nahin|nahi ji|ji nahi|ji nahin|mat karo|rehne do
"""
_CANCEL = """
cancel|cancel it|cancel that|stop|decline|batal|batalkan|取消|cancelar|cancela|cancelalo|cancele|annuler|annulez|annule
|abbrechen|abbruch|stornieren|الغ|الغاء|الغي|توقف|रद्द|रद्द करें|रद्द करो|cancel karo
"""
_POLITE = """
please|pls|plz|thanks|thank you|thx|sila|tolong|terima kasih|makasih|请|谢谢|谢谢你|請|謝謝|por favor|gracias
|obrigado|obrigada|s il vous plait|s il te plait|svp|merci|bitte|danke|danke schon|من فضلك|لو سمحت|شكرا|कृपया|धन्यवाद
|शुक्रिया|dhanyavaad|sir|madam
"""
_SIGNS = {"👍": " yes ", "👌": " yes ", "✅": " yes ", "✔": " yes ", "☑": " yes ", "🆗": " yes "} | {
    "👎": " no ",
    "❌": " no ",
    "✖": " no ",
    "✗": " no ",
    "🚫": " no ",
    "🛑": " no ",
    "⛔": " no ",
    "🙅": " no ",
}
_SIGN = re.compile("|".join(_SIGNS))
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")
_FRIENDLY = "🙂😊☺😀😃😄😁🤗🙏🙌🤝💪💯🎉❤"
_ARABIC_VOWELS = "\u064b-\u065f\u0670"
_DEVANAGARI = "\u0900-\u0963\u0966-\u097f"
_UNDOUBTED = re.compile(
    rf"(?:[\w\s{_ARABIC_VOWELS}{_DEVANAGARI}{''.join(_SIGNS)}{_FRIENDLY}]"
    r"|(?<=🙅)[♀♂]"
    r"|\.(?!\.)|。(?!。)|[!,*¡！‼❗，、．۔،।॥]"
    r"|(?<=\w)['’‘´`‐‑-](?=\w)"
    r"|:-?\)"
    r"|[~～]+\s*\Z)*"
)
"""All that may stand in a yes or a no: letters, friendly signs, and what ends or parts a sentence; “:)”, an apostrophe
within a word, the wave at the end of “好的~”. Not: signs of a question in any script, other emoji, “…” and dashes that
leave something out, quotes, a line through the words (`~yes~`, combining strokes)."""
_LAUGHTER = frozenset(("ja", "jo", "ji", "k", "हा"))
"""A yes if it stands once; more than once it is how people laugh."""
_LATIN_ACCENTS = re.compile("[\u0300-\u036f]")
_ARABIC_MARKS = re.compile(f"[{_ARABIC_VOWELS}\u0640]")
_ARABIC_LETTERS = str.maketrans("أإآٱىة", "اااايه")
_BETWEEN = re.compile(rf"[^\w{_DEVANAGARI}]+|_")


def understand(text: str) -> YesNo:
    """Whether *text*, in any of the languages, says yes or no and nothing else."""
    if len(text) > MAX_CHARACTERS or _is_doubtful(text):
        return YesNo.OTHER
    plain = normal(text)
    if sum(word in _LAUGHTER for word in plain.split()) > 1 or _made_of(plain, _POLITE_PHRASES):
        return YesNo.OTHER
    if _made_of(plain, _YES_PHRASES):
        return YesNo.YES
    says_no = _made_of(plain, _NO_PHRASES) or _made_of(plain, _CANCEL_PHRASES)
    return YesNo.NO if says_no else YesNo.OTHER


def _is_doubtful(text: str) -> bool:
    """Whether anything beside the words may mean that they are not meant."""
    plain = unicodedata.normalize("NFC", _SKIN.sub("", without_invisible(text)))
    return _UNDOUBTED.fullmatch(plain) is None


def normal(text: str) -> str:
    """*text* without case, width, accents, Arabic vowel marks, punctuation; thumbs and ticks as `yes` and `no`."""
    plain = unicodedata.normalize("NFKC", without_invisible(text)).casefold()
    plain = _SIGN.sub(lambda match: _SIGNS[match.group()], _SKIN.sub("", plain))
    plain = _LATIN_ACCENTS.sub("", unicodedata.normalize("NFD", plain))
    plain = unicodedata.normalize("NFC", plain).replace("ß", "ss")
    plain = _ARABIC_MARKS.sub("", plain).translate(_ARABIC_LETTERS)
    return _BETWEEN.sub(" ", plain).strip()


def _made_of(plain: str, phrases: Iterable[str]) -> bool:
    """Whether *plain* is nothing but *phrases* in a row; Chinese ones need no space between them."""
    reached = {0}
    for position in range(len(plain)):
        if position not in reached:
            continue
        for phrase in phrases:
            end = position + len(phrase)
            if plain.startswith(phrase, position) and (_is_chinese(phrase) or plain[end : end + 1] in ("", " ")):
                reached.add(end + 1 if plain[end : end + 1] == " " else end)
    return bool(plain) and len(plain) in reached


def _is_chinese(phrase: str) -> bool:
    return "\u4e00" <= phrase[0] <= "\u9fff"


def _phrases(table: str) -> frozenset[str]:
    return frozenset(normal(phrase) for phrase in table.replace("\n", "").split("|"))


_POLITE_PHRASES = _phrases(_POLITE)
_YES_PHRASES = _phrases(_YES) | _POLITE_PHRASES
_NO_PHRASES = _phrases(_NO) | _POLITE_PHRASES
_CANCEL_PHRASES = _phrases(_CANCEL) | _POLITE_PHRASES
"""Apart from the others: “don't cancel” is no “no”."""
