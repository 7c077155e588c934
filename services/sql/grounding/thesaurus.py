"""Words of general English that mean much the same when people name data, and what identifiers shorten."""

from __future__ import annotations

from services.sql.grounding.words import stem

# Each line is a group of near-synonyms. Only everyday nouns and verbs of data; no word of any one database.
_GROUPS = """
customer client buyer shopper consumer patron clientele
employee staff worker personnel workforce colleague
user member account subscriber
person people individual
supplier vendor provider
supplier supply
player play
company firm business organization organisation enterprise
product item article good merchandise commodity ware
kilometre kilometer km
kilogram kilo kg
litre liter
category kind type class genre
order purchase buy
salary pay wage compensation earnings remuneration
doctor physician
patient case
appointment visit consultation
movie film
author writer write
teacher instructor professor lecturer teach
student pupil
course class
school college university
department division
city town
country nation nationality
state province
address street
location place venue site
phone telephone mobile
email mail
gender sex
job position occupation profession role
description detail summary
name title label
begin start open
end finish close
create add make register
join enroll register sign
hire employ
birth born birthday
death die
age old
date day
quantity unit
price cost charge fee fare rate
payment transaction
revenue sales income turnover proceeds earnings takings
rating score star grade
review feedback comment
rank ranking
weight heavy
height tall
length long duration
size big large
speed fast
distance far
area surface size
population inhabitant resident
capacity seat
car vehicle automobile
flight trip
team club squad
player athlete
match game
award prize medal
song track
singer artist musician vocalist performer
concert performance show
loan borrow lend
return give
ship deliver send dispatch
cancel void
stock inventory
warehouse depot
status state condition
level tier
segment group tier
manager boss supervisor head leader
owner proprietor
owner own
child kid
picture photo image
note remark comment
language tongue
currency money
balance fund
discount rebate reduction markdown
profit margin gain
tax duty vat
building house property
room chamber
pet animal
paper publication article
journal magazine
keyword topic
website url site web
test exam examination
symptom sign
diagnosis disease illness
drug medicine medication
publisher press
airport airfield
ticket pass
restaurant eatery
food cuisine dish
ingredient component
click hit
view watch
download install
percent percentage
first given
last family sur
store shop outlet
branch office outlet
aircraft plane airplane jet
baggage luggage suitcase
booking reservation
passenger traveller traveler
guest visitor
alarm alert warning
venue stadium arena
coach trainer
referee umpire
machine device equipment apparatus
reading measurement
loan credit
fine penalty
ticket issue
feature function functionality
invoice bill
industry sector
course training seminar
leave absence
plan tariff
field plot parcel
harvest yield
worker labourer laborer
promotion campaign
attendance crowd audience spectator
budget funding
manufacturer maker producer
brand make
site location facility
expense expenditure spending
truck lorry
bicycle bike
apartment flat
hotel accommodation lodging
lawyer attorney solicitor
advertisement ad advert commercial
contract agreement
complaint grievance
shipment delivery consignment
area region zone district
street road
defect fault error bug failure
task assignment
goal target objective
skill ability competence
donation gift contribution
donor contributor
candidate applicant
crime offence offense
accident crash collision
holiday vacation
folder directory
file document
debt liability
"""

# Concepts of number words: what people ask for in sums of money when no column bears the very word.
MONEY_WORDS = frozenset(
    stem(word)
    for word in (
        "money sale sales revenue income turnover spend spending spent paid earn earned earnings worth value "
        "expenditure"
    ).split()
)
MONEY_COLUMN_WORDS = frozenset(stem(word) for word in "amount total revenue sales value payment paid".split())
PRICE_WORDS = frozenset(stem(word) for word in "price cost rate fee charge fare".split())
QUANTITY_WORDS = frozenset(stem(word) for word in "quantity count units amount volume shares".split())

# Nouns that end run-together identifiers such as "custname", "orderdate".
ATTRIBUTE_NOUNS = (
    "id name number date time type code price amount status count year month day title level rate score size age "
    "city country state "
    "address email phone value quantity total description category group key index rank weight height length "
    "balance currency fee "
    "tax created updated joined sales cost percent region volume url text zip"
).split()

# Endings that divide any run-together name: no other English word ends in them.
PLAIN_ENDINGS = frozenset("name type price status amount number quantity address email phone category".split())

_DEMONYMS = """
american:united states,usa,us,america,u.s.a. british:united kingdom,uk,england,great britain english:england,united
kingdom,uk french:france german:germany italian:italy spanish:spain portuguese:portugal dutch:netherlands,the
netherlands,holland belgian:belgium swiss:switzerland austrian:austria danish:denmark swedish:sweden
norwegian:norway finnish:finland icelandic:iceland irish:ireland scottish:scotland welsh:wales polish:poland
czech:czech republic,czechia slovak:slovakia hungarian:hungary romanian:romania bulgarian:bulgaria greek:greece
turkish:turkey russian:russia ukrainian:ukraine chinese:china japanese:japan korean:south korea,korea indian:india
pakistani:pakistan thai:thailand vietnamese:vietnam indonesian:indonesia malaysian:malaysia filipino:philippines
australian:australia canadian:canada mexican:mexico brazilian:brazil argentinian:argentina argentine:argentina
chilean:chile colombian:colombia peruvian:peru egyptian:egypt moroccan:morocco nigerian:nigeria kenyan:kenya
ethiopian:ethiopia israeli:israel iranian:iran iraqi:iraq saudi:saudi arabia european:europe asian:asia
african:africa singaporean:singapore cuban:cuba croatian:croatia serbian:serbia estonian:estonia latvian:latvia
lithuanian:lithuania
"""

_CODES = {
    "male": ("m", "male", "man"),
    "female": ("f", "female", "woman"),
    "man": ("m", "male"),
    "woman": ("f", "female"),
    "boy": ("m", "male"),
    "girl": ("f", "female"),
    "usa": ("united states", "us"),
    "us": ("united states", "usa"),
    "uk": ("united kingdom",),
    "america": ("united states", "usa"),
}


def _synonyms() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for line in _GROUPS.strip().splitlines():
        stems = {stem(word) for word in line.split()}
        for one in stems:
            table.setdefault(one, set()).update(stems - {one})
    return {word: frozenset(others) for word, others in table.items()}


def _equivalent_values() -> dict[str, tuple[str, ...]]:
    table = dict(_CODES)
    current = ""
    for piece in " ".join(_DEMONYMS.split()).split(" "):
        if ":" in piece:
            current, _, piece = piece.partition(":")
            table[current] = ()
        else:  # a name of several words, such as "united states"
            last = table[current][-1]
            table[current] = (*table[current][:-1], *f"{last} {piece}".split(","))
            continue
        table[current] = tuple(piece.split(","))
    for adjective, countries in list(table.items()):
        if adjective not in _CODES:
            for country in countries:
                table[country] = (*table.get(country, ()), adjective)
    return table


SYNONYMS = _synonyms()
EVERYDAY_WORDS = tuple(dict.fromkeys(_GROUPS.split()))  # as they are spelled
EQUIVALENT_VALUES = _equivalent_values()
