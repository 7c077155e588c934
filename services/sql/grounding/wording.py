"""English of questions: words without a meaning of their own, numbers in words, and units.

Nothing here belongs to any one database: only closed classes of words.
"""

from __future__ import annotations

from services.sql.grounding.words import stem

# Words that carry no meaning of their own in a question to a database.
FUNCTION_WORDS = frozenset(
    """
a an the of in on at to for from with and or is are was were be been being am do does did have has had having that
which who whom whose what where when how we our us i me my you your they their them it its he she his her this these
those there here can could would will shall should may might must please tell show list give find get display return
select provide name identify report present out all any some both also as by about into than then so if but up let
know want need like just only many much each every per database databases table tables record records row rows entry
entries system data info information currently now right respectively corresponding following same along together
overall ones one such other own among within via using based according exactly exist exists present available belong
belongs belonging involved associated related contained contain contains include includes including included across
between during over under make made take took come comes came go goes happen happened occur occurred hold held holds
number count s t re whether too do us them do compute calculate determine retrieve fetch see look looking interested
terms result results output value values various certain particular given use used uses ever yet already still
always most least
""".split()
)

# Verbs and adverbs so general that leaving them unlinked says nothing.
LIGHT_WORDS = frozenset(
    stem(word)
    for word in """
show list give find get tell display return many much live lives lived living locate located place placed call
called named name title titled belong happen produce produced receive received own owned owns belong work works
working registered record recorded appear appears serve serves total number amount type kind piece item thing detail
details entire whole complete full each different distinct unique first last current recent specific respective
separate against share arrange possible exact represent consist refer correspond common combine various similar
total together wish want need know contain include come consider across available certain specific back around
associate relate participate take make do does become enter order sort rank group breakdown split compare done put
generate bring contribute create new money figure set keep kept say said ask question answer help think mean people
drive travel cover perform carry handle offer part
person individual someone anyone everybody versus vs comparison
""".split()
)

# Words that set one side against another; each side is to be seen.
CONTRASTS = frozenset({"compare", "compares", "compared", "comparing", "comparison", "versus", "vs"})


# Verbs that ask for an answer when they are said to the one who answers ("Return all names"), and that say something
# about the data anywhere else ("Which products were returned?").
REQUEST_VERBS = frozenset(stem(word) for word in ("return", "report", "present", "display"))
BEFORE_REQUESTS = frozenset("please kindly and then also just only you".split())

NUMBER_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "hundred": 100,
    "dozen": 12,
    "once": 1,
    "twice": 2,
    "thousand": 1000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "single": 1,
}
MULTIPLIERS = {
    "thousand": 1_000,
    "k": 1_000,
    "million": 1_000_000,
    "m": 1_000_000,
    "billion": 1_000_000_000,
    "bn": 1_000_000_000,
    "hundred": 100,
}

IMPERATIVES = frozenset(
    (
        "return",
        "list",
        "show",
        "find",
        "give",
        "count",
        "display",
        "report",
        "name",
        "state",
        "order",
        "sort",
        "rank",
        "select",
    )
)
ORDINALS = {"second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "fifth": 5}

# Units that may follow a number, and what the number is then about.
UNITS = {
    "dollar": ("price", "cost", "amount", "fee"),
    "usd": ("price", "amount"),
    "euro": ("price", "cost", "amount", "fee"),
    "eur": ("price", "amount"),
    "kg": ("weight",),
    "kilogram": ("weight",),
    "pound": ("weight", "price"),
    "km": ("distance", "length"),
    "mile": ("distance", "length", "mileage"),
    "meter": ("length", "height"),
    "metre": ("length", "height"),
    "minute": ("duration", "length", "time"),
    "hour": ("duration", "hour", "time"),
    "day": ("day", "duration"),
    "percent": ("percent", "rate"),
    "%": ("percent", "rate", "discount"),
    "$": ("price", "amount"),
    "unit": ("quantity", "stock"),
    "second": ("duration", "second", "time"),
    "star": ("star", "rating"),
    "point": ("point", "score"),
    "foot": ("height", "length"),
    "year": ("age", "year"),
    "inch": ("height", "length"),
    "cm": ("height", "length"),
}
