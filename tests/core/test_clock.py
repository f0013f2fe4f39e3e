"""The time without jumps."""

import time
from datetime import timedelta

import pytest

from bot.core import clock

_DAY = 86_400.0


@pytest.mark.parametrize("jump", [-_DAY, _DAY])
def test_the_time_goes_on_when_the_clock_is_set_anew(monkeypatch, jump):
    """Back or forth, by a day."""
    before, set_anew = clock.now(), time.time() + jump
    monkeypatch.setattr(time, "time", lambda: set_anew)
    time.sleep(0.01)
    assert 0.01 <= clock.now() - before < 5
    assert abs(clock.utc_now().timestamp() - clock.now()) < 1


@pytest.mark.parametrize(("seconds_ago", "believed"), [(0, True), (500, True), (700, False), (-60, False)])
def test_a_time_that_cannot_be_is_now(seconds_ago, believed):
    """What a platform tells of the future, or of longer ago than it can be, is due to a wrong clock."""
    told = clock.utc_now() - timedelta(seconds=seconds_ago)
    assert (clock.plausible_time(told, 600) == told) is believed
    assert abs((clock.plausible_time(told, 600) - (told if believed else clock.utc_now())).total_seconds()) < 1
