"""A git repository as a source, with the real program and a local remote."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from bot.core.documents import address_at
from bot.core.errors import SourceError
from bot.core.settings import Settings
from bot.knowledge.places import Places
from bot.sources import repository
from bot.sources.fetching import Fetcher
from bot.sources.repository import file_address, link_template


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["/usr/bin/env", "git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def commit(folder: Path, **files: str | None) -> None:
    """Commit files, called with __ for / and _ for a dot; None removes one."""
    for name, content in files.items():
        file = folder / name.replace("__", "/").replace("_", ".")
        if content is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")


@pytest.fixture
def remote(tmp_path) -> Path:
    folder = tmp_path / "remote"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "docs").mkdir()
    (folder / "docs" / "link.md").symlink_to("/etc/hostname")
    commit(
        folder, docs__guide_md="# Guide\n\nTurn it on.\n", docs__code_py="print()\n", README_md="# Readme\n\nRead me.\n"
    )
    return folder


@pytest.fixture
def fetcher(remote, tmp_path):
    def make(**settings) -> Fetcher:
        source = {"name": "repo", "kind": "git", "url": str(remote), "private": True} | settings
        chosen = Settings(storage={"folder": tmp_path / "data"}, sources=[source])
        return Fetcher(chosen.sources[0], chosen)

    return make


def files(tmp_path) -> dict[str, str]:
    folder = tmp_path / "data" / "sources" / "repo"
    return {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("[!.]*") if file.is_file()}


async def test_the_documents_of_a_folder_are_read_and_what_changes_there(remote, fetcher, tmp_path):
    """Nothing else: no code, no link out of the repository. What stays the same is not written again."""
    link = "https://git.example/{path}#L{first}-L{last}"
    fetched = await fetcher(folder="docs", link=link).fetch()
    assert files(tmp_path) == {"guide.md": "# Guide\n\nTurn it on.\n"}
    assert any("(a link): link.md" in note for note in fetched.notes)
    (tmp_path / "knowledge").mkdir()
    [entry] = Places(tmp_path / "knowledge", {"repo": tmp_path / "data/sources/repo"}).listing().files
    assert (entry.path, entry.address) == ("repo:guide.md", "https://git.example/docs/guide.md#L{first}-L{last}")
    before = (tmp_path / "data/sources/repo/guide.md").stat()
    commit(remote, docs__more_md="# More\n\nMore of it.\n")
    assert (await fetcher(folder="docs", link=link).fetch()).changes.added == ("more.md",)
    assert (tmp_path / "data/sources/repo/guide.md").stat().st_ino == before.st_ino
    commit(remote, docs__guide_md=None, docs__more_md="# More\n\nLess of it.\n")
    changes = (await fetcher(folder="docs", link=link).fetch()).changes
    assert (changes.changed, changes.removed) == (("more.md",), ("guide.md",))
    assert str((await fetcher(folder="docs", link=link).fetch()).changes) == "nothing has changed"


async def test_branches_and_tags_are_found_and_their_lack_is_told(remote, fetcher, tmp_path):
    """With the setting to correct. The last good state stays."""
    git(remote, "tag", "-a", "v1", "-m", "first")
    git(remote, "checkout", "-qb", "next")
    commit(remote, README_md="# Next\n\nWhat comes.\n")
    await fetcher(branch="v1").fetch()
    assert files(tmp_path)["README.md"].startswith("# Readme")
    await fetcher(branch="next").fetch()
    assert files(tmp_path)["README.md"].startswith("# Next")
    with pytest.raises(SourceError, match="no branch or tag gone; check its setting branch"):
        await fetcher(branch="gone").fetch()
    with pytest.raises(SourceError, match="no folder nowhere in the repository; check its setting folder"):
        await fetcher(folder="nowhere").fetch()
    assert files(tmp_path)["README.md"].startswith("# Next")
    assert "setting folder" in (await fetcher().status()).problem


async def test_hooks_filters_and_other_protocols_run_nothing(remote, fetcher, tmp_path):
    """Neither of the repository nor of this machine's settings."""
    ran = tmp_path / "ran"
    (tmp_path / "gitconfig").write_text(f'[filter "x"]\n\tsmudge = touch {ran}\n[core]\n\thooksPath = {remote}/hooks\n')
    hook = remote / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    (remote / ".gitattributes").write_text("*.md filter=x\n")
    commit(remote, a_md="# A\n\nText.\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
        await fetcher().fetch()
    assert not ran.exists()
    assert "a.md" in files(tmp_path)
    with pytest.raises(ValueError, match="needs the address of a git repository"):
        fetcher(url=f"ext::sh -c 'touch {ran}'")
    with pytest.raises(ValueError, match="lies on this machine; allow that by private = true"):
        fetcher(private=False)


async def test_a_repository_that_is_too_large_or_gone_is_told(remote, fetcher, tmp_path):
    """With the fix."""
    (remote / "large.md").write_text(os.urandom(1_500_000).hex())
    commit(remote)
    with pytest.raises(SourceError, match="more than 1 megabyte"):
        await fetcher(megabytes=1).fetch()
    with pytest.raises(SourceError, match=r"git ls-remote has failed .*check the address"):
        await fetcher(url=str(tmp_path / "nowhere")).fetch()


async def test_a_server_that_never_answers_is_given_up(fetcher, monkeypatch):
    """It takes the connection, and stays silent."""
    monkeypatch.setattr(repository, "_LONGEST", 2.0)
    told = "git ls-remote takes longer than 2 seconds; check the network"
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError, match=told):
        await fetcher(url=f"git://127.0.0.1:{silent.getsockname()[1]}/r").fetch()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/blob/main/docs/a%20b.md?plain=1#L3-L5"),
        ("git@github.com:o/r.git", "https://github.com/o/r/blob/main/docs/a%20b.md?plain=1#L3-L5"),
        (
            "ssh://git@gitlab.example.org:2222/g/s/r.git",
            "https://gitlab.example.org/g/s/r/-/blob/main/docs/a%20b.md?plain=1#L3-5",
        ),
        (
            "https://token@codeberg.org/o/r",
            "https://codeberg.org/o/r/src/branch/main/docs/a%20b.md?display=source#L3-L5",
        ),
        ("https://git.example.org/r", ""),
        ("/srv/git/r", ""),
    ],
)
def test_lines_have_an_address_where_the_host_is_known(url, address):
    """Without lines it is that of the file."""
    template = file_address(link_template(url, "main"), "docs/a b.md")
    assert address_at(template, (3, 5)) == address
    assert address_at(template, None) == address.partition("#")[0]
