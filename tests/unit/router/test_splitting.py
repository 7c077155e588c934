import pytest

from services.router.splitting import MAX_PARTS, split_question


def texts(question: str) -> list[str]:
    return [part.text for part in split_question(question)]


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "Show me total sales and explain our vacation policy",
            ["Show me total sales", "explain our vacation policy"],
        ),
        (
            "What are the remote work hours? And how many orders were returned?",
            ["What are the remote work hours", "how many orders were returned"],
        ),
        (
            "Which customers are enterprise; how is that segment defined?",
            ["Which customers are enterprise", "how is that segment defined"],
        ),
        (
            "How many orders were cancelled, and what is the procedure for complaints?",
            ["How many orders were cancelled", "what is the procedure for complaints"],
        ),
        (
            "Count the open orders, explain how returns work, and also list the top 5 products",
            ["Count the open orders", "explain how returns work", "list the top 5 products"],
        ),
        (
            "List late deliveries.\nDescribe the complaint procedure.",
            ["List late deliveries", "Describe the complaint procedure"],
        ),
        (
            "Can you tell me what our revenue was and whether interns get vacation?",
            ["Can you tell me what our revenue was", "whether interns get vacation"],
        ),
    ],
)
def test_clauses_that_can_stand_as_questions_are_cut_apart(question: str, parts: list[str]) -> None:
    assert texts(question) == parts
    assert all(part.stands_alone for part in split_question(question))


@pytest.mark.parametrize(
    "question",
    [
        "How many customers do we have?",
        "What does the policy say about returns and refunds?",
        "List products and explain them",
        "Who signed it, and when?",
        "Did Mr. Smith and the others sign?",
        "Show total sales",
        "?!",
        "and",
        "vacaciones y ventas",
    ],
)
def test_a_question_of_one_piece_is_left_whole(question: str) -> None:
    assert split_question(question) == ()


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("Show me products and prices", ["Show me products", "Show me prices"]),
        ("What is our revenue and the return policy?", ["What is our revenue", "What is the return policy"]),
        (
            "Tell me about open orders as well as support hours",
            ["Tell me about open orders", "Tell me about support hours"],
        ),
        ("Total sales and vacation policy", ["Total sales", "vacation policy"]),
    ],
)
def test_a_bare_phrase_takes_over_the_asking_words_and_is_marked_as_a_guess(question: str, parts: list[str]) -> None:
    assert texts(question) == parts
    assert not any(part.stands_alone for part in split_question(question))


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    assert texts("What did Dr. Smith earn? What is the dress code?") == [
        "What did Dr. Smith earn",
        "What is the dress code",
    ]


def test_there_are_never_more_parts_than_a_source_assesses() -> None:
    question = " ".join(f"What is item {number}?" for number in range(20))

    parts = texts(question)

    assert len(parts) == MAX_PARTS
    assert parts[-1].endswith("What is item 19")


def test_a_question_of_the_longest_length_is_split_at_once() -> None:
    assert len(split_question("a and " * 660)) <= MAX_PARTS
    assert len(split_question(", ; ? and " * 400)) <= MAX_PARTS
