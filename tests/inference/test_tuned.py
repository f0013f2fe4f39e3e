"""Which tuned model is active, and whether it is used: never the wrong one, and never silently none."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.daemon import make_generator, open_house
from bot.diagnosis import Level
from bot.doctor import _tuned_model
from bot.errors import TrainingError, WeightsError
from bot.health import State
from bot.inference import tuned
from bot.inference.inventory import installed
from bot.inference.prompts import Excerpt
from bot.messages import Address, Phrased, Question
from bot.settings import GeneratorSettings, ModelsSettings, Settings
from bot.storage.data_folder import back_up, restore
from bot.training.generator import Plan, tune
from bot.training.pairs import SPLITS, Example, Kind, write
from tests.writing import DOCUMENTS


def ask(text: str) -> Question:
    return Question(text, "c", "someone", Address("test", "chat", text), datetime.now(UTC))


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    """A tuned model, of which nothing is expected but that it is one."""
    place = tmp_path_factory.mktemp("tuned")
    shown = (Excerpt("A", "It is red."),)
    examples = [Example(f"What is it, number {n}?", "It is red.", Kind.HEADING, "a.md", shown) for n in range(60)]
    write(place / "data", dict(zip(SPLITS, (examples[:40], examples[40:50], examples[50:]), strict=True)))
    plan = Plan(tiny("llama"), epochs=0.5, batch=20)
    tune(place / "data", place / "mine", plan, GeneratorSettings(dtype="float32"), ModelsSettings())
    return place / "mine"


@pytest.fixture
def local(settings: Settings, tiny) -> Settings:
    generator = GeneratorSettings(provider="local", model=tiny("llama"), dtype="float32", max_new_tokens=8)
    return settings.model_copy(update={"generator": generator})


def activated(settings: Settings, folder: Path) -> tuned.Tuned:
    return tuned.activate(settings.storage.folder, folder, json.loads((folder / "training.json").read_text()))


def known(settings: Settings, active: tuned.Tuned) -> str:
    """What answers and people call it."""
    return f"{settings.generator.model} + {active.name}"


def changed(settings: Settings, **generator) -> Settings:
    return settings.model_copy(update={"generator": settings.generator.model_copy(update=generator)})


def test_the_active_model_is_loaded_and_named(local, trained):
    """By the generator, status, models, and the doctor."""
    active = activated(local, trained)
    assert active.name.startswith("mine-")
    known_as = known(local, active)
    generator = make_generator(local)
    assert generator.name == generator.description["model"] == known_as
    asyncio.run(generator.close())
    assert tuned.told_of(local) == known_as
    rows = {one.role: one for one in installed(local)}
    assert (rows["tuned"].model, rows["tuned"].missing) == (active.name, "")
    assert [(one.level, one.text) for one in _tuned_model(local)] == [(Level.OK, known_as)]


async def test_the_active_model_is_named_in_each_answer_and_in_the_health(local, trained, models, folder_of):
    """Also where its words were not shown."""
    folder_of(DOCUMENTS)
    active = activated(local, trained)
    async with open_house(local, models) as house:
        await house.indexer.index_folder(local.knowledge.folder)
        await house.generator_loaded.wait()
        assert house.health.report("generator").detail == known(local, active)
        answer = await house.engine.answer(ask("How much does the boiler cost?"))
    assert answer.phrasing.model == known(local, active)


@pytest.mark.parametrize(
    ("other", "fix"),
    [
        ({"model": "owner/other"}, "it was made from .* set generator.model"),
        ({"revision": "abc"}, "set generator.model"),
        ({"adapter": Path("elsewhere")}, "generator.adapter names another adapter: remove that setting"),
        ({"provider": "openai"}, 'set it to "local"'),
        ({"provider": "none"}, 'set it to "local"'),
    ],
)
def test_where_the_active_model_does_not_go_with_the_settings_it_is_told(local, trained, other, fix):
    """In status, in models and by the doctor, each with what to do; the settings are followed."""
    activated(local, trained)
    settings = changed(local, **other)
    choice = tuned.chosen(settings)
    assert choice.settings == settings.generator
    for told in (choice.unused, tuned.told_of(settings), next(iter(_tuned_model(settings))).text):
        with pytest.raises(TrainingError, match=f"is not used, because .*{fix}.* finetune revert"):
            raise TrainingError(told)


def damage(settings: Settings, active: tuned.Tuned) -> Path:
    folder = settings.storage.folder / tuned.FOLDER / active.name
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    return folder


async def test_an_active_model_that_is_damaged_is_not_silently_replaced_by_its_base(local, trained, models, folder_of):
    """The documents are quoted, and the health says why."""
    folder_of(DOCUMENTS)
    damage(local, activated(local, trained))
    async with open_house(local, models) as house:
        await house.indexer.index_folder(local.knowledge.folder)
        await house.generator_loaded.wait()
        report = house.health.report("generator")
        assert report.state is State.FAILED
        assert "is damaged" in report.detail
        answer = await house.engine.answer(ask("How much does the boiler cost?"))
    assert (answer.text, answer.phrasing.outcome) == ("The boiler costs **42 euros**.", Phrased.FAILED)


def test_an_active_model_that_is_damaged_or_gone_is_told_everywhere(local, trained):
    """With what to do, which helps."""
    active = activated(local, trained)
    folder = damage(local, active)
    with pytest.raises(WeightsError, match=r"is damaged .* finetune revert"):
        make_generator(local)
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match="is missing"):
        tuned.chosen(local)
    assert "is missing" in {one.role: one for one in installed(local)}["tuned"].missing
    [told] = _tuned_model(local)
    assert (told.level, "is missing" in told.text) == (Level.ERROR, True)
    activated(local, trained)
    assert tuned.chosen(local).name == known(local, active)


def test_each_way_back_is_one_step(local, trained, tmp_path):
    """To the one before, and at last to none."""
    other = tmp_path / "Other one!"
    shutil.copytree(trained, other)
    (other / "adapter_config.json").write_text((other / "adapter_config.json").read_text() + "\n")
    first, second = activated(local, trained), activated(local, other)
    activated(local, other)  # again, which changes nothing
    assert second.name.startswith("Other-one-")
    assert tuned.chosen(local).name == known(local, second)
    assert tuned.revert(local.storage.folder).active == first
    assert tuned.chosen(local).name == known(local, first)
    assert tuned.revert(local.storage.folder).active is None
    assert tuned.chosen(local).name == local.generator.model
    with pytest.raises(TrainingError, match="nothing to take back"):
        tuned.revert(local.storage.folder)


def test_a_record_that_can_not_be_read_is_told(local, trained):
    """Which model is active is not guessed."""
    activated(local, trained)
    (local.storage.folder / tuned.FOLDER / "active.json").write_text("{")
    with pytest.raises(WeightsError, match=r"active\.json can't be read .* remove the file"):
        tuned.chosen(local)


def test_backup_and_restore_leave_tuned_models_alone(local, trained, tmp_path):
    """They are not in the archive, and what is active stays active."""
    local.storage.folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(local.storage.folder / "index.sqlite3")) as db:
        db.execute("CREATE TABLE one (two)")
    active = activated(local, trained)
    assert back_up(local.storage.folder, tmp_path / "b.tar.gz") == ["index.sqlite3"]
    restore(tmp_path / "b.tar.gz", local.storage.folder)
    assert tuned.chosen(local).name == known(local, active)
