from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from http_house import HttpHouse


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[HttpHouse]:
    async with HttpHouse(tmp_path) as house:
        yield house
