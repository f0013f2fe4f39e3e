"""Exports as sources, for the tests: a fetcher of one, and the documents that come from it."""

from pathlib import Path

import pytest

from bot.core.settings import Settings
from bot.knowledge.converter import Converter
from bot.sources.fetching import Fetcher

STAFF = "user700"


@pytest.fixture
def fetcher(tmp_path):
    """Makes a fetcher of an export: `fetcher("notion", content)`, whose content is an archive or files of a folder."""

    def make(kind: str, export: bytes | dict[str, str | bytes], **settings) -> Fetcher:
        file = tmp_path / "export"
        if isinstance(export, bytes):
            file = tmp_path / "export.zip"
            file.write_bytes(export)
        else:
            for name, content in export.items():
                (file / name).parent.mkdir(parents=True, exist_ok=True)
                (file / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        source = {"name": "wiki", "kind": kind, "file": str(file)} | settings
        chosen = Settings(storage={"folder": tmp_path / "data"}, sources=[source])
        return Fetcher(chosen.sources[0], chosen)

    return make


@pytest.fixture
def texts(tmp_path):
    """The files of the source with their content."""

    def read() -> dict[str, str]:
        folder = tmp_path / "data" / "sources" / "wiki"
        return {
            file.relative_to(folder).as_posix(): file.read_bytes().decode("utf-8", "replace")
            for file in sorted(folder.rglob("[!.]*"))
            if file.is_file()
        }

    return read


def document(tmp_path: Path, path: str):
    content = (tmp_path / "data" / "sources" / "wiki" / path).read_bytes()
    with Converter() as converter:
        return converter.read(path, content)
