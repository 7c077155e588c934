"""What is read out of a question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rag.answer_kinds import holds_wanted
from services.rag.asking import Wanted, take_apart

WANTED = {
    "When does the ferry leave?": Wanted.TIME,
    "What are the opening hours?": Wanted.TIME,
    "In which year was it founded?": Wanted.TIME,
    "Who signed the contract?": Wanted.PERSON,
    "Where is the office?": Wanted.PLACE,
    "Why is the light red?": Wanted.REASON,
    "How many cars fit in?": Wanted.QUANTITY,
    "What is the price of a ticket?": Wanted.MONEY,
    "How much does a ticket cost?": Wanted.MONEY,
    "How tall is the tower?": Wanted.LENGTH,
    "How heavy is the kettle?": Wanted.WEIGHT,
    "How fast does it sail?": Wanted.SPEED,
    "How long does it take?": Wanted.DURATION,
    "How often is it cleaned?": Wanted.DURATION,
    "How do I open it?": Wanted.ANYTHING,
    "explain our vacation policy": Wanted.ANYTHING,
    "remote work": Wanted.ANYTHING,
}


@pytest.mark.parametrize("question", WANTED)
def test_the_kind_of_answer_is_read_from_how_a_question_asks(question: str) -> None:
    assert take_apart(question).wanted is WANTED[question]


def test_requests_are_not_what_a_question_is_about() -> None:
    assert take_apart("Please explain to me our vacation rules").terms[0] == "vacat"
    assert take_apart("Show me total sales").terms == ("total", "sale")
    assert take_apart("When does the show start?").terms == ("show", "start")


def test_requests_to_list_things_are_told_from_requests_to_explain() -> None:
    assert take_apart("Please list all products").asks_for_list
    assert take_apart("count the orders").asks_for_list
    assert not take_apart("explain the returns policy").asks_for_list
    assert not take_apart("What does the list hold?").asks_for_list


def test_names_are_words_with_capitals_and_digits() -> None:
    assert take_apart("Who designed the Sigrid in 2011?").names == {"sigrid", "2011"}
    assert take_apart("WHO DESIGNED THE FERRY SIGRID").names == frozenset()


def test_what_is_counted_is_the_plural_after_how_many() -> None:
    assert take_apart("How many people work in the yard?").counted == "people"
    assert take_apart("How many paid vacation days do I get?").counted == "days"


HOLDS = {
    ("When does it open?", "It opens at 9 a.m."): True,
    ("When does it open?", "It is a nice shop."): False,
    ("How many cars fit in?", "She carries 240 passengers and 32 cars."): True,
    ("How many cars fit in?", "She carries cars worth 5,000 euros."): False,
    ("How many customers do we have?", "There are four segments of customers."): False,
    ("How many customers do we have?", "We serve 180 loyal customers."): True,
    ("How many customers came?", "Four of the customers came."): True,
    ("How much does it cost?", "It costs $5."): True,
    ("How much does it cost?", "It weighs 5 kg."): False,
    ("How tall is it?", "It is 330 metres tall."): True,
    ("How tall is it?", "It was built in 1889."): False,
    ("Who built it?", "It was built by Gustave Eiffel."): True,
    ("Who built it?", "It was built quickly."): False,
    ("How long is the leave?", "Parents get 16 weeks."): True,
    ("Why is it red?", "It is red because it was switched on dry."): True,
    ("Tell me about it", "Anything."): None,
}


@pytest.mark.parametrize(("question", "sentence"), HOLDS)
def test_a_sentence_is_known_to_hold_the_kind_of_thing_that_is_asked_for(question: str, sentence: str) -> None:
    assert holds_wanted(take_apart(question), sentence) is HOLDS[question, sentence]


@given(st.text(max_size=300))
def test_any_question_can_be_taken_apart(question: str) -> None:
    asked = take_apart(question)

    assert asked.kind_terms <= set(asked.terms)
    assert asked.names <= set(asked.terms)
    assert holds_wanted(asked, question) in (True, False, None)
