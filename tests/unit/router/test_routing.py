import pytest

from services.router.models import Assessment, Decision, Evidence, Part, Route
from services.router.routing import Thresholds, decide, decide_alone

LIMITS = Thresholds(floor=0.3, clear_lead=0.15, guess_lead=0.35, tie=0.04, strong=0.75)


def evidence(whole: float, *parts: float, reason: str = "it fits") -> Evidence:
    return Evidence(Assessment(whole, reason), tuple(Assessment(part, reason) for part in parts))


def decided(sql: Evidence, documents: Evidence, *parts: str, stands_alone: bool = True) -> Decision:
    pieces = [Part(text, stands_alone) for text in parts]
    return decide("the question", pieces, sql=sql, documents=documents, thresholds=LIMITS)


def test_the_source_with_the_better_evidence_is_chosen() -> None:
    assert decided(evidence(0.9), evidence(0.2)).route is Route.SQL
    assert decided(evidence(0.2), evidence(0.9)).route is Route.DOCUMENTS


def test_one_source_is_asked_the_whole_question() -> None:
    decision = decided(evidence(0.9), evidence(0.2))

    assert [(sub.route, sub.question) for sub in decision.sub_questions] == [(Route.SQL, "the question")]


def test_nothing_above_the_floor_is_none() -> None:
    decision = decided(evidence(0.29), evidence(0.1))

    assert decision.route is Route.NONE
    assert decision.sub_questions == ()


def test_parts_that_prefer_different_sources_make_it_hybrid() -> None:
    decision = decided(evidence(0.5, 0.9, 0.1), evidence(0.6, 0.2, 0.8), "total sales", "vacation policy")

    assert decision.route is Route.HYBRID
    assert [(sub.route, sub.question) for sub in decision.sub_questions] == [
        (Route.SQL, "total sales"),
        (Route.DOCUMENTS, "vacation policy"),
    ]


def test_parts_that_prefer_the_same_source_are_not_torn_apart() -> None:
    decision = decided(evidence(0.9, 0.9, 0.8), evidence(0.3, 0.3, 0.3), "products", "prices")

    assert decision.route is Route.SQL
    assert decision.sub_questions[0].question == "the question"


def test_a_guessed_cut_needs_stronger_proof() -> None:
    sql, documents = evidence(0.4, 0.7, 0.3), evidence(0.8, 0.5, 0.7)

    assert decided(sql, documents, "show returns", "show refund policy").route is Route.HYBRID
    assert decided(sql, documents, "show returns", "show refund policy", stands_alone=False).route is Route.DOCUMENTS


def test_a_part_that_says_little_follows_the_one_before_it() -> None:
    decision = decided(
        evidence(0.6, 0.9, 0.1, 0.1),
        evidence(0.6, 0.2, 0.15, 0.9),
        "list orders",
        "sort them by date",
        "explain returns",
    )

    assert decision.question_for(Route.SQL, "") == "list orders and sort them by date"
    assert decision.question_for(Route.DOCUMENTS, "") == "explain returns"


def test_two_sources_that_each_hold_the_whole_question_are_both_asked() -> None:
    decision = decided(evidence(0.9), evidence(0.89))

    assert decision.route is Route.HYBRID
    assert {sub.question for sub in decision.sub_questions} == {"the question"}
    assert not decision.ask_back


def test_pieces_that_agree_decide_where_the_whole_does_not() -> None:
    decision = decided(evidence(1.0, 1.0, 1.0), evidence(0.97, 0.1, 0.2), "how many customers", "how many orders")

    assert decision.route is Route.SQL
    assert decision.question_for(Route.SQL, "") == "the question"


def test_weak_evidence_that_is_equal_on_both_sides_asks_back() -> None:
    decision = decided(evidence(0.4, reason="Table orders"), evidence(0.4, reason="complaints.md"))

    assert "Table orders." in decision.ask_back
    assert "complaints.md." in decision.ask_back


def test_small_talk_around_a_question_does_not_hide_it() -> None:
    assert (
        decided(evidence(0.1, 0.0, 0.1), evidence(0.2, 0.2, 0.9), "Hello", "what is the policy").route
        is Route.DOCUMENTS
    )


def test_a_wider_lead_is_surer() -> None:
    sure, unsure = decided(evidence(0.9), evidence(0.1)), decided(evidence(0.9), evidence(0.8))

    assert 0 <= unsure.confidence < sure.confidence <= 1


def test_the_reason_names_the_evidence_of_both_sources() -> None:
    decision = decided(evidence(0.9, reason="Table public.customers"), evidence(0.2, reason="handbook.md is near"))

    assert "Table public.customers." in decision.reason
    assert "handbook.md is near." in decision.reason


def test_a_source_asked_alone_is_chosen_only_above_the_floor() -> None:
    chosen = decide_alone("the question", [], Route.SQL, evidence(0.8), thresholds=LIMITS)

    assert chosen is not None
    assert chosen.route is Route.SQL
    assert decide_alone("the question", [], Route.SQL, evidence(0.2), thresholds=LIMITS) is None


def test_a_source_asked_alone_is_asked_only_the_parts_it_bears_on() -> None:
    parts = [Part("total sales", stands_alone=True), Part("vacation policy", stands_alone=True)]

    chosen = decide_alone("the question", parts, Route.SQL, evidence(0.2, 0.9, 0.1), thresholds=LIMITS)

    assert chosen is not None
    assert [(sub.route, sub.question) for sub in chosen.sub_questions] == [(Route.SQL, "total sales")]


def test_a_source_asked_alone_is_asked_the_whole_where_the_cut_is_a_guess() -> None:
    parts = [Part("total sales", stands_alone=True), Part("prices", stands_alone=False)]

    chosen = decide_alone("the question", parts, Route.SQL, evidence(0.8, 0.9, 0.1), thresholds=LIMITS)

    assert chosen is not None
    assert [sub.question for sub in chosen.sub_questions] == ["the question"]


@pytest.mark.parametrize("sql", [0.0, 0.3, 0.74, 0.75, 1.0])
@pytest.mark.parametrize("documents", [0.0, 0.3, 0.74, 0.75, 1.0])
def test_confidence_stays_between_0_and_1(sql: float, documents: float) -> None:
    decision = decided(evidence(sql, sql, documents), evidence(documents, documents, sql), "one", "two")

    assert 0 <= decision.confidence <= 1
    assert decision.reason
