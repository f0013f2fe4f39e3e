"""Which tuned model is active, and whether it is used: never the wrong one, and never silently none."""

import asyncio
import json
import shutil
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.adapters.checking import check_platforms
from bot.core.diagnosis import Diagnosis, Severity
from bot.core.errors import TrainingError, WeightsError
from bot.core.messages import Address, Phrased, Question
from bot.core.settings import GeneratorSettings, ModelsSettings, Settings
from bot.inference import tuned
from bot.inference.generator import load_model
from bot.inference.inventory import installed
from bot.inference.prompts import Excerpt
from bot.inference.templates import load_templates
from bot.observability.health import State
from bot.runtime.application import open_application
from bot.runtime.doctor import examine
from bot.runtime.loading import open_generator
from bot.storage.base import GENERATORS
from bot.storage.data_folder import back_up, restore
from bot.storage.sqlite.knowledge import SqliteKnowledge
from bot.training.generator import Plan, tune
from bot.training.pairs import SPLITS, Origin, TuningExample, write
from tests.writing import DOCUMENTS, change_weights

TRAINED_WITH = GeneratorSettings(provider="local", dtype="float32", passages=1, max_new_tokens=8)


def ask(text: str) -> Question:
    return Question(text, "c", "someone", Address("test", "chat", text), datetime.now(UTC))


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    """A tuned model, of which nothing is expected but that it is one."""
    place = tmp_path_factory.mktemp("tuned")
    shown = (Excerpt("A", "It is red."),)
    examples = [
        TuningExample(f"What is it, number {n}?", "It is red.", Origin.HEADING, "a.md", shown) for n in range(60)
    ]
    write(place / "data", dict(zip(SPLITS, (examples[:40], examples[40:50], examples[50:]), strict=True)))
    plan = Plan(tiny("llama"), epochs=0.5, batch=20)
    tune(place / "data", place / "mine", plan, TRAINED_WITH, ModelsSettings())
    return place / "mine"


@pytest.fixture
def local(settings: Settings, tiny) -> Settings:
    generator = TRAINED_WITH.model_copy(update={"model": tiny("llama")})
    return settings.model_copy(update={"generator": generator})


def activated(settings: Settings, folder: Path) -> tuned.Tuned:
    return tuned.activate(settings.storage.folder, folder, json.loads((folder / "training.json").read_text()))


def known(settings: Settings, active: tuned.Tuned) -> str:
    """The name of the model in answers."""
    return f"{settings.generator.model} + {active.name}"


def changed(settings: Settings, **generator) -> Settings:
    return settings.model_copy(update={"generator": settings.generator.model_copy(update=generator)})


def said_by_the_doctor(settings: Settings) -> Diagnosis:
    """Of the tuned model."""

    async def ask() -> Diagnosis:
        async with aclosing(examine(settings, check_platforms(settings, online=False))) as found:
            return await anext(one async for one in found if one.subject == "tuned model")

    return asyncio.run(ask())


def test_the_active_model_is_loaded_and_named(local, trained):
    """By the generator, status, models, and the doctor."""
    active = activated(local, trained)
    assert active.name.startswith("mine-")
    known_as = known(local, active)
    generator = asyncio.run(open_generator(local))
    assert generator.name == generator.description["model"] == known_as
    asyncio.run(generator.close())
    assert tuned.describe_generator(local) == known_as
    rows = {one.role: one for one in installed(local)}
    assert (rows["tuned"].model, rows["tuned"].missing) == (active.name, "")
    doctor = said_by_the_doctor(local)
    assert (doctor.level, doctor.text) == (Severity.OK, known_as)


async def test_the_active_model_is_named_in_each_answer_and_in_the_health(local, trained, models, folder_of):
    """Also where its words were not shown."""
    folder_of(DOCUMENTS)
    active = activated(local, trained)
    async with open_application(local, models) as application:
        await application.indexer.index_folder(local.knowledge.folder)
        await application.answering.generator_loaded.wait()
        assert application.health.report("generator").detail == known(local, active)
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"))
    assert answer.phrasing.model == known(local, active)


@pytest.mark.parametrize(
    ("other", "fix"),
    [
        ({"model": "owner/other"}, "it was made from .* set generator.model"),
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
    for told in (choice.warning, tuned.describe_generator(settings), said_by_the_doctor(settings).text):
        with pytest.raises(TrainingError, match=f"is not used, because .*{fix}.* finetune revert"):
            raise TrainingError(told)


def damage(settings: Settings, active: tuned.Tuned) -> Path:
    folder = settings.storage.folder / GENERATORS / active.name
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    return folder


async def test_an_active_model_that_is_damaged_is_not_silently_replaced_by_its_base(local, trained, models, folder_of):
    """The documents are quoted, and the health says why."""
    folder_of(DOCUMENTS)
    damage(local, activated(local, trained))
    async with open_application(local, models) as application:
        await application.indexer.index_folder(local.knowledge.folder)
        await application.answering.generator_loaded.wait()
        report = application.health.report("generator")
        assert report.state is State.FAILED
        assert "is damaged" in report.detail
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"))
    assert "The boiler costs **42 euros**." in answer.text
    assert answer.phrasing.outcome is Phrased.FAILED


def test_an_active_model_that_is_damaged_or_gone_is_told_everywhere(local, trained):
    """With what to do, which helps."""
    active = activated(local, trained)
    folder = damage(local, active)
    with pytest.raises(WeightsError, match=r"is damaged .* finetune revert"):
        asyncio.run(open_generator(local))
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match="is missing"):
        tuned.chosen(local)
    assert "is missing" in {one.role: one for one in installed(local)}["tuned"].missing
    told = said_by_the_doctor(local)
    assert (told.level, "is missing" in told.text) == (Severity.ERROR, True)
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
    (local.storage.folder / GENERATORS / "active.json").write_text("{")
    with pytest.raises(WeightsError, match=r"active\.json can't be read .* remove the file"):
        tuned.chosen(local)


# --- the base ---------------------------------------------------------------------------------------------------------


def overwritten(settings: Settings, folder: Path) -> Settings:
    """Settings that name a copy of the base, whose weights are other ones now."""
    shutil.copytree(settings.generator.model, folder)
    change_weights(folder)
    return changed(settings, model=str(folder))


def test_the_same_base_may_lie_elsewhere(local, trained, tmp_path):
    """On another machine it does; what counts are its weights."""
    active = activated(local, trained)
    shutil.copytree(local.generator.model, tmp_path / "elsewhere")
    settings = changed(local, model=str(tmp_path / "elsewhere"), revision="abc")
    assert tuned.chosen(settings).name == known(settings, active)
    assert tuned.chosen(settings).warning == ""


def test_a_base_with_other_weights_is_told_everywhere(local, trained, tmp_path):
    """The tuned model is not put onto it, the base writes, and what to do is said."""
    settings = overwritten(local, tmp_path / "base")
    record = json.loads((trained / "training.json").read_text()) | {"base": settings.generator.model}
    tuned.activate(settings.storage.folder, trained, record)
    choice = tuned.chosen(settings)
    assert choice.settings == settings.generator
    rows = {one.role: one.missing for one in installed(settings)}
    diagnosis = said_by_the_doctor(settings)
    assert diagnosis.level is Severity.WARNING
    for told in (choice.warning, tuned.describe_generator(settings), rows["tuned"], diagnosis.text):
        assert "is not used, because it was made from other weights than those in" in told
        assert "put the right ones back, tune the new ones, or take it back" in told


def test_an_adapter_that_settings_name_is_not_put_onto_other_weights(local, trained, tmp_path):
    """It would write nonsense, so nothing is loaded."""
    fitting = changed(local, adapter=trained)
    load_model(fitting.generator, fitting.models)
    settings = overwritten(fitting, tmp_path / "base")
    with pytest.raises(
        WeightsError, match=r"mine was made from other weights than those in .*base: put the right ones"
    ):
        load_model(settings.generator, settings.models)


def test_a_whole_tuned_model_takes_nothing_of_its_base(local, trained, tmp_path):
    """So it is used also where other weights have come to the base's place."""
    settings = overwritten(local, tmp_path / "base")
    record = json.loads((trained / "training.json").read_text())
    tuned.activate(settings.storage.folder, trained, record | {"base": settings.generator.model, "method": "full"})
    assert tuned.chosen(settings).warning == ""


# --- the prompts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"persona": "You are stern."}, 'generator.persona was "You answer questions'),
        ({"language": "German"}, 'generator.language was ""'),
        ({"passages": 4}, "generator.passages was 1"),
        ({"prompt_tokens": 100}, "generator.prompt_tokens was 1500"),
        ({"style": "dialogue"}, 'generator.style was "chat", which it keeps'),
    ],
)
def test_prompts_other_than_those_of_the_training_are_told(local, trained, other, told):
    """In status, in models and by the doctor; the tuned model is used all the same."""
    active = activated(local, trained)
    settings = changed(local, **other)
    choice = tuned.chosen(settings)
    assert choice.name == known(settings, active)
    rows = {one.role: one.missing for one in installed(settings)}
    diagnosis = said_by_the_doctor(settings)
    assert diagnosis.level is Severity.WARNING
    for said in (choice.warning, tuned.describe_generator(settings), rows["tuned"], diagnosis.text):
        assert f"was trained with other prompts, so that its answers may be worse: {told}" in said
        assert "Set that back, or train and compare anew" in said


@pytest.mark.parametrize(
    ("wording", "told"),
    [
        ('[chat]\nstop = ["END"]', True),
        ('[completion]\nintroduction = ""', False),  # of another style than that of the training
        ("[chat", True),
    ],
)
def test_another_wording_than_that_of_the_training_is_told(local, trained, tmp_path, wording, told):
    """By a hash of the templates of the style that the model was trained in."""
    activated(local, trained)
    file = tmp_path / "prompts.toml"
    file.write_text(wording, encoding="utf-8")
    assert (
        "the wording in generator.prompts was another" in tuned.chosen(changed(local, prompts=file)).warning
    ) is told


def test_the_log_warns_once_of_other_prompts(local, trained):
    """At the start, and the health goes on saying it."""
    activated(local, trained)
    with capture_logs() as logs:
        generator = asyncio.run(open_generator(changed(local, language="German")))
    asyncio.run(generator.close())
    assert [entry["log_level"] for entry in logs if "generator.language" in entry.get("reason", "")] == ["warning"]
    assert "generator.language" in generator.description["warning"]


def test_a_setting_that_a_style_has_no_place_for_makes_no_other_prompts(local, trained):
    """A model that is given turns is never told who it is."""
    record = json.loads((trained / "training.json").read_text())
    prompt = record["prompt"] | {"templates": load_templates(None).fingerprint("dialogue")}
    record |= {"style": "dialogue", "prompt": prompt}
    tuned.activate(local.storage.folder, trained, record)
    assert tuned.chosen(changed(local, persona="You are stern.", language="German")).warning == ""


# --- backups ----------------------------------------------------------------------------------------------------------


async def an_index(folder: Path) -> None:
    await (await SqliteKnowledge.open(folder)).close()


def test_a_backup_has_the_tuned_models_and_works_on_another_machine(local, trained, tmp_path):
    """With the same base in another place; also the one before, to revert to."""
    folder = local.storage.folder
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    (other / "adapter_config.json").write_text((other / "adapter_config.json").read_text() + "\n")
    first, second = activated(local, trained), activated(local, other)
    asyncio.run(an_index(folder))
    (folder / GENERATORS / ".mine-unfinished").mkdir()
    assert back_up(folder, tmp_path / "b.tar.gz") == [
        "index.sqlite3",
        "generators/active.json",
        f"generators/{first.name}",
        f"generators/{second.name}",
    ]
    shutil.copytree(local.generator.model, tmp_path / "elsewhere")
    storage = local.storage.model_copy(update={"folder": tmp_path / "new"})
    there = changed(local, model=str(tmp_path / "elsewhere")).model_copy(update={"storage": storage})
    assert restore(tmp_path / "b.tar.gz", storage.folder) is None
    choice = tuned.chosen(there)
    assert (choice.name, choice.warning) == (known(there, second), "")
    load_model(choice.settings, there.models)
    tuned.revert(storage.folder)
    assert tuned.chosen(there).name == known(there, first)


def test_restoring_keeps_the_tuned_models_that_stood_there(local, trained, tmp_path):
    """In the folder beside it; what is active is what was active then: nothing."""
    folder = local.storage.folder
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(an_index(folder))
    back_up(folder, tmp_path / "b.tar.gz")
    active = activated(local, trained)
    before = restore(tmp_path / "b.tar.gz", folder)
    assert tuned.chosen(local).name == local.generator.model
    assert (before / GENERATORS / active.name / "adapter_model.safetensors").is_file()
