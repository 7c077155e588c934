"""The phrases of questions that stand for counting, comparing, ordering and the like.

Nothing here belongs to any one database: only closed classes of words and general adjectives of measure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cue:
    """What a phrase asks for. `data` is the operator, function or direction; `hints` name attributes it is about."""

    kind: str
    data: str = ""
    hints: tuple[str, ...] = ()


_PHRASES: dict[str, Cue] = {}


def _say(kind: str, data: str, phrases: str, hints: str = "") -> None:
    cue = Cue(kind, data, tuple(hints.split()))
    for phrase in phrases.split("|"):
        if phrase.startswith("the "):
            continue  # an article would only keep a longer phrase behind it from being seen
        _PHRASES[" ".join(phrase.split())] = cue


_say(
    "count",
    "",
    "how many|number of|the number of|count of|total number of|total count of|numbers of|"
    "count how many|# of|how often|number|count|count the number of|number of times|how many times",
)
_say(
    "count",
    "distinct",
    "how many different|how many distinct|how many unique|number of different|number of distinct|"
    "number of unique|count of distinct|count of unique|count distinct",
)
_say(
    "aggregate",
    "sum",
    "total|sum|sum of|the sum of|combined|in total|total sum of|altogether|cumulative|overall|aggregate|how much",
)
_say(
    "aggregate",
    "avg",
    "average|mean|avg|on average|the average|averaged|average of|averages",
)
_say("aggregate", "max", "maximum|max|maximal|maximum of")
_say("aggregate", "min", "minimum|min|minimal|minimum of")
_say("aggregate", "median", "median|median of")
_say("aggregate", "stddev", "standard deviation|standard deviation of|stddev|standard deviation in")
_say("aggregate", "variance", "variance|variance of|variance in")
_say(
    "share",
    "",
    "percentage of|percent of|what percentage|proportion of|share of|fraction of|what fraction|what proportion|"
    "what share|what percent|percentage|proportion|% of",
)
_say("ratio", "", "ratio of|ratio between|the ratio")
_say("difference", "", "difference between|difference in|difference of|gap between|spread between")
_say("distinct", "", "distinct|different|unique|without duplicates|without repetition")

_say(
    "compare",
    ">",
    "more than|greater than|larger than|bigger than|higher than|above|over|exceeding|exceeds|exceed|exceeded|"
    "in excess of|bigger|>|beyond|no fewer|surpassing|surpass",
)
_say("compare", "<", "less than|fewer than|lower than|smaller than|below|under|<|beneath")
_say(
    "compare",
    ">=",
    "at least|no less than|not less than|no fewer than|minimum of|greater than or equal to|more than or equal to|"
    "a minimum of|>=|or more|or above|or higher|or over|or greater|or older|and above|and over|and up|"
    "not fewer than|not below|not under|at minimum",
)
_say(
    "compare",
    "<=",
    "at most|no more than|not more than|up to|maximum of|a maximum of|less than or equal to|"
    "fewer than or equal to|<=|or less|or fewer|or below|or lower|or under|or younger|not exceeding|not above|"
    "not over|no higher than|no greater than",
)
_say("compare", "=", "equal to|equals|exactly|=|==|equal|precisely")
_say("compare", "<>", "not equal to|!=|<>|different from|other than|not equal")
_say("compare", "since", "or later|or after|and later|and after|onwards|onward|or newer|or since")
_say("compare", "until", "or earlier|or before|and earlier|and before")
_say("between", "", "between|ranging from|in the range of|in the range|range from|ranges from|ranging between")
for _more, _less, _hints in (
    ("older than", "younger than", "age"),
    ("longer than", "shorter than", "length duration height time"),
    ("heavier than", "lighter than", "weight"),
    ("taller than", "", "height"),
    ("faster than", "slower than", "speed time"),
    (
        "more expensive than|costlier than|pricier than",
        "cheaper than|less expensive than",
        "price cost amount fee fare rate rent",
    ),
    ("better than", "worse than", "rating score"),
    ("richer than", "poorer than", "income salary"),
):
    _say("compare", ">", _more, _hints)
    if _less:
        _say("compare", "<", _less, _hints)
_say(
    "compare",
    ">",
    "costing more than|priced above|priced over|that cost more than|cost more than|costs more than",
    "price cost amount fee fare rate rent",
)
_say(
    "compare",
    "<",
    "costing less than|priced below|priced under|that cost less than|cost less than|costs less than",
    "price cost amount fee fare rate rent",
)
_say("compare", ">", "aged over|aged above", "age")
_say("compare", "<", "aged under|aged below", "age")
_say("compare", "after", "after|later than|following|newer than|more recent than", "date year")
_say("compare", "before", "before|earlier than|prior to|ahead of", "date year")
_say("compare", "since", "since|from|starting from|starting in|as of|on or after", "date year")
_say("compare", "until", "until|till|through|on or before|up until", "date year")

for _high, _low, _hints in (
    (
        "highest|greatest|largest|biggest|most|top|the most|the highest",
        "lowest|smallest|least|fewest|bottom|the least|the fewest",
        "",
    ),
    ("oldest|eldest", "youngest", "age"),
    ("longest", "shortest", "length duration height page time"),
    ("heaviest", "lightest", "weight"),
    ("tallest", "", "height"),
    ("fastest", "slowest", "speed time"),
    ("most expensive|priciest|costliest|dearest", "cheapest|least expensive", "price cost amount fee fare rate rent"),
    (
        "best|best rated|highest rated|top rated|highest ranked",
        "worst|worst rated|lowest rated|poorest",
        "rating score star rank",
    ),
    ("latest|most recent|newest|last|most recently|latest of", "earliest|first|oldest of", "date year time"),
    ("most populous|most populated", "least populous|least populated|least populated", "population"),
    ("richest|wealthiest", "poorest", "income salary wealth"),
    (
        "most popular|most common|most frequent|commonest|most frequently|most commonly|most often|most active|"
        "busiest|most popular",
        "least popular|least common|rarest|least frequent|least active",
        "#count",
    ),
    ("deepest", "", "depth"),
    ("widest", "", "width"),
    ("best selling|bestselling|top selling|most sold", "worst selling|least sold", "quantity sold"),
    ("most profitable", "least profitable", "profit"),
    ("most valuable", "least valuable", "value price amount"),
):
    _say("superlative", "desc", _high, _hints)
    if _low:
        _say("superlative", "asc", _low, _hints)

_say(
    "negation",
    "",
    "not|no|never|without|neither|nor|none of|excluding|except|except for|exclude|other than|lack|lacks|lacking|"
    "hasn't|not any|do not have any|apart from|cannot|nobody|nothing|outside|outside of|non",
)
_say(
    "group",
    "",
    "for each|per|by each|of each|in each|for every|each|every|in every|of every|from each|grouped by|group by|"
    "broken down by|broken out by|split by|for each of|across each|across different|with each|at each|on each|"
    "to each|categorized by|categorised by|across the different|breakdown by|segmented by|aggregated by|"
    "for all the different|within each|on every|at every|by every",
)
_say("by", "", "by|in terms of|based on|according to|measured by|as measured by|with respect to|ranked by")
_say(
    "order",
    "",
    "ordered by|sorted by|order by|sort by|rank by|arranged by|sorted according to|in order of|"
    "ordered according to|listed by|sorted|sort|order them by|sort them by|sort the results by|"
    "order the results by|sorting by|ordering by|rank them by|sort the list by|order the list by|"
    "listed in the order of|in the order of",
)
_say(
    "direction",
    "asc",
    "ascending|in ascending order|in ascending order of|ascending order|ascending order of|alphabetically|"
    "in alphabetical order|alphabetical order|in alphabetical order of|alphabetical|in lexicographical order|"
    "lexicographical order|from lowest to highest|from low to high|from smallest to largest|lowest to highest|"
    "smallest to largest|from youngest to oldest|from the youngest to the oldest|lowest first|smallest first|"
    "youngest first|cheapest first|earliest first|from earliest to latest|in increasing order|"
    "increasing order|in increasing order of|"
    "from young to old|from old to new|from small to large|from small to big|"
    "from least to most|from cheapest to most expensive|chronologically|in chronological order|asc|"
    "alphabetic order|in lexicographic order|lexicographic order",
)
_say(
    "direction",
    "desc",
    "descending|in descending order|in descending order of|descending order|descending order of|"
    "from highest to lowest|from high to low|from largest to smallest|highest to lowest|largest to smallest|"
    "from oldest to youngest|from old to young|from new to old|from large to small|from big to small|"
    "from the oldest to the youngest|highest first|largest first|"
    "oldest first|most expensive first|newest first|most common first|most frequent first|most first|best first|"
    "most recent month first|most recent year first|latest month first|latest year first|most recent day first|"
    "latest first|most recent first|from latest to earliest|in decreasing order|decreasing order|"
    "in decreasing order of|from most to least|in reverse alphabetical order|reverse alphabetical order|"
    "from most expensive to cheapest|desc|reverse chronological order|in reverse chronological order",
)
_say(
    "like",
    "contains",
    "contains|containing|contain|includes the word|including the word|includes the substring|with the substring|"
    "contains the substring|has the substring|contains the word|containing the word|contain the word|"
    "contains the letter|contain the letter|containing the letter|with the word|have the word|has the word|"
    "includes the string|matching|with the letter|has the letter|containing the phrase|that mention|mentioning|"
    "mentions|contain the substring|includes|include|contains the string|containing the string|"
    "have the substring|contain the string|containing the substring",
)
_say(
    "like",
    "starts",
    "starts with|start with|starting with|begins with|begin with|beginning with|starting with the letter|"
    "that start with|starts with the letter|start with the letter|begins with the letter|prefixed with|"
    "begin with the letter|beginning with the letter|initial|with the prefix|has the prefix",
)
_say("like", "ends", "ends with|end with|ending with|ends in|ending in|end in|ends with the letter|with the suffix")
_say(
    "null",
    "",
    "is missing|are missing|missing|unknown|is null|are null|null|is empty|are empty|is unknown|is blank|"
    "is unset|not set|unspecified|not specified",
)
_say("relative", "", "whose|who|that|which|where|with|having|have|has|had|when")
_say("and", "", "and|as well as|along with|together with|and also|plus|,")
_say("or", "", "or|either|and/or")
_say("both", "", "both")
_say("pair", "", "and their|with their|along with their|together with their|and its|with its|their|its")
_say(
    "everything",
    "",
    "all information|all the information|all details|all the details|everything|all info|full details|"
    "all columns|all data|details|all attributes|information|complete information|the details|full information|"
    "entire record|entire records|all fields",
)
_say("low", "asc", "low on|running low on|short on|short of|running out of|low in|low")
_say("zero", "", "out of|zero")
_say(
    "definition",
    "",
    "what does|means|meaning of|what is meant|define|definition of|how do we define|how is|how are|how do i|"
    "how can i|how should|how to|how do you|how do we|how does|explain|describe|why|why is|why are|why did|"
    "why do|what is our policy|tell me about|summarize|summarise|what are the rules|what steps|am i|can i|"
    "should i|do i|am i allowed",
)

PHRASES = _PHRASES
LONGEST_PHRASE = max(len(phrase.split()) for phrase in PHRASES)
