"""Reports that are alike but for their figures: title or file name alone say whose they are, and of which year."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from random import Random

COMPANIES = ("Norrland Ferries", "Tarn Valley Dairy", "Kestrel Paper Mill", "Ostbay Tramways")
YEARS = (2021, 2022, 2023)

_SECTIONS = {
    "Staff": "At the end of the year {staff} people worked for the company, of whom {part_time} were part-time. "
    "Sick leave came to {sick_days} days for each person. A new agreement on shifts was signed in the spring.",
    "Money": "Sales came to {sales} million euros and the result before tax to {profit} million. The board proposes "
    "a dividend of {dividend} cents a share. Interest took a larger share than in the year before.",
    "Equipment": "We replaced {machines} machines and closed one of the old workshops. The largest single purchase "
    "cost {purchase} thousand euros. Repairs that had been put off were caught up on in the autumn.",
    "Energy": "Consumption of electricity fell to {power} megawatt hours. Heat came from wood chips for the most part. "
    "The new meters showed {leaks} leaks, all of which have been mended.",
    "Outlook": "We expect a calm year. {hires} apprentices begin in August. The licence to draw water was renewed for "
    "{licence} years, and the lawsuit with a neighbour was settled.",
}
_QUESTIONS = {
    "staff": "How many people worked for {company} at the end of {year}?",
    "sick_days": "How many days of sick leave did each person at {company} take in {year}?",
    "sales": "What were the sales of {company} in {year}, in million euros?",
    "dividend": "What dividend did the board of {company} propose for {year}?",
    "machines": "How many machines did {company} replace in {year}?",
    "purchase": "What did the largest purchase of {company} in {year} cost?",
    "power": "How many megawatt hours of electricity did {company} consume in {year}?",
    "leaks": "How many leaks did the new meters of {company} show in {year}?",
    "hires": "How many apprentices were to begin at {company} after {year}?",
    "licence": "For how many years was the licence of {company} to draw water renewed in {year}?",
}


@dataclass(frozen=True)
class Report:
    """One report, and a question for each of its figures with the words that answer it."""

    company: str
    year: int
    sections: tuple[tuple[str, str], ...]
    questions: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        return f"{self.company}: annual report {self.year}"

    @property
    def filename(self) -> str:
        return f"{self.company.replace(' ', '_')}_{self.year}.md"

    def text(self, *, titled: bool) -> str:
        """The report in Markdown, with or without its title."""
        body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in self.sections)
        return f"# {self.title}\n\n{body}\n" if titled else f"{body}\n"


def reports() -> Iterator[Report]:
    """The same reports whenever it is called."""
    chance = Random(7)
    for company, year in product(COMPANIES, YEARS):
        names = ("part_time", "profit", *_QUESTIONS)
        figures = {name: str(chance.randrange(1_000, 10_000) / 10) for name in names}
        sections = tuple((heading, text.format(**figures)) for heading, text in _SECTIONS.items())
        questions = tuple(
            (question.format(company=company, year=year), figures[name]) for name, question in _QUESTIONS.items()
        )
        yield Report(company, year, sections, questions)
