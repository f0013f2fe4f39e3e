"""The dictionary of the latest entries."""

from bot.adapters.recent import Recent


def test_the_entries_that_were_set_first_are_forgotten():
    """An entry that is set again counts as new; reading doesn't."""
    recent = Recent[str, int](2)
    recent["a"], recent["b"] = 1, 2
    recent["a"] = 3
    assert recent.get("b") == 2
    recent["c"] = 4
    assert list(recent.items()) == [("a", 3), ("c", 4)]
