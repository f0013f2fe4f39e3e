"""Bots with documents that are indexed already."""

from pathlib import Path

import pytest

from bot.core.settings import Settings
from bot.inference.workers import Models
from bot.runtime.application import open_application

GUIDE = "# Guide\n\n" + "".join(
    f"## {thing}\n\nThe {thing.lower()} must be {rule} every week.\n\n"
    for thing, rule in (
        ("Kettle", "descaled"),
        ("Grinder", "brushed"),
        ("Filter", "rinsed"),
        ("Water tank", "emptied"),
        ("Milk jug", "boiled"),
        ("Drip tray", "washed"),
        ("Steam wand", "purged"),
        ("Scales", "wiped"),
        ("Bean hopper", "dusted"),
    )
)


@pytest.fixture
async def healthy(settings, models, folder_of):
    """A place where all is well."""
    return await indexed(settings, models, folder_of({"guide.md": GUIDE}))


@pytest.fixture
async def small(settings, models, folder_of):
    """A place with so little text that the threshold takes no time to try."""
    return await indexed(settings, models, folder_of({"note.md": "The kettle must be descaled every week.\n"}))


async def indexed(settings: Settings, models: Models, folder: Path) -> Settings:
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(folder)
    return settings
