"""Whether a sentence holds the kind of thing a question asks for: a time, a quantity, a name, a reason."""

import re

from services.rag.asking import Asked, Wanted
from services.rag.words import NUMBER_WORDS, words_of

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_SEASON = (
    r"(?:spring|summer|autumn|winter|midnight|noon|morning|afternoon|evening|night|christmas|easter|century|centuries"
    r"|decade)"
)
_UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|quarters?|years?|decades?|centuries|century)"
_NUMBER = (
    rf"(?:\d[\d.,:]*|{'|'.join(NUMBER_WORDS)}|hundreds?|thousands?|millions?|billions?|dozens?|half|quarter|third|twice"
    r"|once|double)"
)
_CLOCK = r"\d{1,2}[:.]\d{2}|\d{1,2}(?:[:.]\d{2})?\s*[ap]\.?m\b"
_DATE = rf"1\d{{3}}|20\d{{2}}|\d{{1,2}}(?:st|nd|rd|th)|{_MONTH}\b\.?|{_WEEKDAY}"
_RELATIVE = rf"\d+\s+{_UNIT}|{_UNIT}\s+(?:after|before|ago)"
_CONJUNCTION = r"(?:after|before|until|by|since|when|once|as soon as|from|within)\b"
_TIME = re.compile(rf"\b(?:{_CLOCK}|{_DATE}|{_SEASON}|{_RELATIVE}|{_CONJUNCTION})", re.IGNORECASE)
_QUANTITY = re.compile(rf"\b{_NUMBER}\b|[$€£¥%°]|\bpercent\b|\b(?:no|none|free|unlimited)\b", re.IGNORECASE)
_DURATION = re.compile(
    rf"\b{_NUMBER}(?:[\s-]+\w+)?[\s-]+{_UNIT}\b|\b(?:every|per|each|a|once|twice)\s+(?:\w+\s+)?{_UNIT}\b"
    r"|\b(?:daily|weekly|monthly|quarterly|yearly|annually|hourly|until|since|always|never|forever|permanently)\b",
    re.IGNORECASE,
)
_CURRENCY = (
    r"(?:dollars?|euros?|pounds?|cents?|pence|francs?|crowns?|kron\w+|yen|yuan|rupees?|pesos?|marks?|USD|EUR|GBP|CHF"
    r"|percent|million|billion)"
)
_MONEY = re.compile(
    rf"[$€£¥₹]\s?\d|\d\s?[$€£¥₹]|\b\d[\d.,]*\s+(?:\w+\s+)?{_CURRENCY}\b|\d+\.\d\d\b"
    r"|\bfree\b|\bno (?:fee|charge|cost)|\bprices?\b.{0,20}\d",
    re.IGNORECASE,
)
_MEASURES = {
    Wanted.LENGTH: (
        r"(?:[kcmµn]?m|(?:kilo|centi|milli)?met(?:re|er)s?|inch(?:es)?|in|feet|foot|ft|yards?|miles?|storeys?|stories"
        r"|pages?)"
    ),
    Wanted.WEIGHT: r"(?:[kmµ]?g|(?:kilo|milli)?grams?|kilos?|tons?|tonnes?|pounds?|lbs?|ounces?|oz|times)",
    Wanted.SPEED: r"(?:km/h|m/s|mph|knots?|(?:\w+\s+)?(?:per|an|a) (?:second|minute|hour|day)|times)",
    Wanted.TEMPERATURE: r"(?:°\s?[CFK]?|degrees?|kelvin|celsius|fahrenheit)",
}
_MEASURED = {
    wanted: re.compile(rf"\b{_NUMBER}(?:[\s-]+(?:and a half|million|thousand|a))?[\s-]*{unit}(?!\w)", re.IGNORECASE)
    for wanted, unit in _MEASURES.items()
}
_REASON = re.compile(
    r"\b(?:because|since|due to|owing to|so that|in order to|therefore|thus|hence|as a result|reasons?|caus\w+"
    r"|leads? to|led to|results? (?:in|from)|for this|which is why|thanks to|to \w+|avoid\w*|prevent\w*|means)\b|: ",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"[^\W\d_a-z][\w’'-]*")
_PLACE = re.compile(
    r"\b(?:in|at|on|near|from|to|into|of|beside|behind|under|above|between|north|south|east|west)\s+(?:the\s+)?\w",
    re.IGNORECASE,
)
_OTHER_NUMBERS = frozenset(
    ["no", "none", "one", "hundred", "thousand", "million", "billion", "dozen", "half", "once", "twice"]
)
_NUMBER_BEFORE_WORDS = 4


def holds_wanted(asked: Asked, sentence: str) -> bool | None:
    """Whether a sentence holds what is wanted; None when nothing particular is."""
    match asked.wanted:
        case Wanted.ANYTHING:
            return None
        case Wanted.TIME:
            return _TIME.search(sentence) is not None
        case Wanted.QUANTITY if asked.counted:
            return _counts(asked, sentence)
        case Wanted.QUANTITY:
            return _QUANTITY.search(sentence) is not None
        case Wanted.MONEY:
            return _MONEY.search(sentence) is not None
        case Wanted.LENGTH | Wanted.WEIGHT | Wanted.SPEED | Wanted.TEMPERATURE:
            return _MEASURED[asked.wanted].search(sentence) is not None
        case Wanted.DURATION:
            return _DURATION.search(sentence) is not None
        case Wanted.REASON:
            return _REASON.search(sentence) is not None
        case Wanted.PERSON:
            return bool(_new_names(asked, sentence))
        case Wanted.PLACE:
            return bool(_new_names(asked, sentence)) or _PLACE.search(sentence) is not None


def leaves_uncounted(asked: Asked, sentence: str) -> bool:
    """Whether a question asks how many there are of something, and the sentence tells no number of anything."""
    return bool(asked.counted) and _QUANTITY.search(sentence) is None


def _counts(asked: Asked, sentence: str) -> bool:
    """Whether a number stands before what is counted, with at most a few words between: "240 passengers and 32 cars".

    A number somewhere in the sentence is not enough: "customers who spend over 5,000" tells no number of customers.
    """
    number_place: int | None = None
    words = list(words_of(sentence))
    for place, word in enumerate(words):
        surface = word.surface.casefold()
        if surface[0].isdigit() or surface in NUMBER_WORDS or surface in _OTHER_NUMBERS:
            number_place = place
        elif number_place is None or place - number_place > _NUMBER_BEFORE_WORDS:
            number_place = None
        elif surface == asked.counted:
            return True
        elif not word.term and place > number_place + 1 and words[place - 1].term:
            number_place = None  # "four segments of customers" counts segments; "four of the customers" customers
    return False


def _new_names(asked: Asked, sentence: str) -> set[str]:
    """Words written like names that the question does not hold; the first word counts when a second one follows it."""
    words = list(words_of(sentence))
    capital = [bool(_CAPITALISED.match(word.surface)) for word in words]
    names = set()
    for place, word in enumerate(words):
        beside = place + 1 < len(words) and capital[place + 1]
        if word.term and capital[place] and (place > 0 or beside) and word.term not in asked.terms:
            names.add(word.term)
    return names
