"""Telling sentences that say otherwise from sentences that say something else."""

import pytest

from services.rag.asking import take_apart
from services.rag.disagreeing import disagree


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("When was the bridge opened?", "The bridge was opened in 1931.", "The bridge was opened in 1937."),
        (
            "When was the bridge opened?",
            "The bridge was opened on 7 May 1931 by the king.",
            "The bridge was opened on 9 May 1937 by the king.",
        ),
        ("Who won the race?", "Anna Berg won the race in Oslo.", "Karin Holt won the race in Oslo."),
        ("Where is the main office?", "The main office is in Lund.", "The main office is in Malmö."),
        (
            "How many days of leave are there?",
            "Employees have twenty days of leave.",
            "Employees have 25 days of leave.",
        ),
        (
            "What does the oak tiller cost?",
            "Oak tiller; cost: 64.00; stock: 3",
            "Oak tiller; cost: 66.00; stock: 4",
        ),
        (
            "What is the price of the oak tiller?",
            "article: H-101; description: Oak tiller; price_eur: 64.00",
            "article: H-101; description: Oak tiller; price_eur: 66.00",
        ),
    ],
)
def test_another_value_in_the_same_place_is_disagreement(question: str, one: str, other: str) -> None:
    asked = take_apart(question)

    assert disagree(asked, one, other)
    assert disagree(asked, other, one)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("When was the bridge opened?", "The bridge was opened in 1931.", "The bridge was opened in 1931!"),
        ("What was the price in 2021?", "The price in 2021 was 5 crowns.", "The price in 2022 was 5 crowns."),
        ("What was the price?", "The price in 2021 was 5 crowns.", "The price in 2022 was 6 crowns."),
        (
            "Who opened the bridge?",
            "The bridge was opened on 7 May 1931 by the king.",
            "The bridge was opened on 9 June 1937 by the king.",
        ),
        (
            "When was the bridge opened?",
            "The bridge was opened in 1931.",
            "The tunnel below the bridge cost 3 million.",
        ),
        ("What is the ferry like?", "The ferry is large and white.", "The ferry is small and white."),
        ("What is the stock of the oak tiller?", "Oak tiller; price: 64; stock: 3", "Oak tiller; price: 66; stock: 3"),
        ("What is the price of the tiller?", "Oak tiller; price: 64.00", "Ash tiller; price: 66.00"),
        ("What is the price?", "article: H-1; price: 64.00", "article: H-1; price: 66.00"),
        ("When?", "1931", "1937"),
        ("When?", "", "In 1937."),
    ],
)
def test_the_same_and_something_else_is_none(question: str, one: str, other: str) -> None:
    assert not disagree(take_apart(question), one, other)
