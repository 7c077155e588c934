"""No queue: workers look into the store of jobs themselves."""


class PolledQueue:
    """JobQueue with nobody to tell."""

    async def announce(self, job_id: str, *, delay_seconds: float = 0) -> None:
        """The job waits where workers look."""
