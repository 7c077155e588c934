import pytest

from services.router.references import resolved
from services.router.splitting import split_question


@pytest.mark.parametrize(
    ("before", "text", "meant"),
    [
        (
            "How is the enterprise segment defined",
            "how many customers are in it",
            "how many customers are in the enterprise segment",
        ),
        ("What is our return policy", "how often was it used", "how often was our return policy used"),
        ("What does the Premium segment mean", "who belongs to it", "who belongs to the Premium segment"),
        ("How do we handle a late complaint", "who signs it", "who signs a late complaint"),
        (
            "How many orders were returned",
            "what does the policy say about them",
            "what does the policy say about orders returned",
        ),
        (
            "How many customers are in the Premium segment",
            "what are their benefits",
            "what are customers in the Premium segment's benefits",
        ),
        ("List our Premium customers", "what do they get", "what do our Premium customers get"),
        ("How are complaints handled", "how many of them are open", "how many of complaints are open"),
        (
            "Which customers are in the enterprise segment",
            "how is that segment defined",
            "how is the enterprise segment defined",
        ),
        ("Show total sales", "is it possible to pay later", "is it possible to pay later"),
        ("Show total sales", "explain our vacation policy", "explain our vacation policy"),
    ],
)
def test_a_pronoun_is_replaced_by_what_it_stands_for(before: str, text: str, meant: str) -> None:
    assert resolved(text, before) == meant


@pytest.mark.parametrize("before", ["Show total sales", "Hello", ""])
def test_a_pronoun_without_anything_to_stand_for_is_told(before: str) -> None:
    assert resolved("who approves it", before) is None


def test_a_question_is_not_cut_where_a_piece_would_ask_something_else() -> None:
    assert split_question("Show total sales and tell me who approves it") == ()


def test_a_piece_is_asked_with_what_it_refers_to() -> None:
    parts = split_question("How is the enterprise segment defined and how many customers are in it?")

    assert [part.text for part in parts] == [
        "How is the enterprise segment defined",
        "how many customers are in the enterprise segment",
    ]
