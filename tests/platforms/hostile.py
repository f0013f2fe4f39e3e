"""Messages that mean no good: odd Unicode, huge ones, markup of every platform, commands, and all of it mixed."""

import hypothesis
from hypothesis import strategies as st

_MARKUP = st.sampled_from(
    "``` ` ~~~ ** __ ~~ || > >>> # -# - 1. [a](http://x) [](tg://user?id=1) <b> </b> <script> &lt; \\ \\\\ \\` ]((".split()
    + "<@1> <@&1> <#1> <:a:1> @everyone @here @bot /ask /help /start /forget /new !!! %s {0} {} ${x} ../../etc/passwd".split()
)
_ODD = st.sampled_from(
    [
        *(
            "\u202e",
            "\u200b",
            "\u2066",
            "\ufeff",
            "\u0000",
            "\u001b[31m",
            "\r",
            "\t",
            "\u2028",
            "\ud7ff",
            "\ufffe",
            "\U0010ffff",
        ),
        *(
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "e" + "\u0301" * 200,
            "ﷺ",
            "𝕳𝖊𝖑𝖑𝖔",
            "İ",
            "ß",
            "ǅ",
            "한국어",
            "العربية",
            "ไทย",
            "\u0e33" * 50,
        ),
    ]
)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
_HUGE = st.builds(lambda piece, count: piece * count, st.one_of(_MARKUP, _ODD, _TEXT), st.integers(50, 1500))
MESSAGES = st.lists(st.one_of(_MARKUP, _ODD, _TEXT, _TEXT, _HUGE), min_size=1, max_size=12).map(" ".join)


def hostile_messages(count: int, longest: int = 4096) -> list[str]:
    """So many of them, the same ones each time, each as long as a platform lets it be (in UTF-16 units)."""
    made: list[str] = []

    @hypothesis.seed(8)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(MESSAGES)
    def collect(message: str) -> None:
        units = message.encode("utf-16-le", "surrogatepass")[: 2 * longest]
        text = units.decode("utf-16-le", "ignore")
        if text.strip() and len(made) < count:
            made.append(text)

    while len(made) < count:
        before = len(made)
        collect()
        made += made[: count - len(made)] if len(made) == before else []
    return made
