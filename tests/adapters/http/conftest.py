from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from http_application import HttpApplication


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[HttpApplication]:
    async with HttpApplication(tmp_path) as application:
        yield application
