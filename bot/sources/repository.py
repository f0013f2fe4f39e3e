"""A git repository as a source: the documents of one branch, in one folder of it.

The program `git` fetches the newest commit. The files are read from its objects and never checked out, so that no hook, filter,
attribute, symbolic link or submodule of the repository has any effect.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from bot.core.errors import SourceError
from bot.core.settings import SourceSettings
from bot.core.text import counted
from bot.knowledge.loaders import LOADERS, OTHER_FORMATS
from bot.sources.store import Draft, SourceStore, is_plain

_LONGEST = 600.0  # seconds that git may take for one command
_FETCHED = "refs/fetched/newest"
_LARGEST_FILE = 100 * 2**20  # bytes
_ORDINARY = ("100644", "100755")  # modes of files, and not of links or submodules
_PASSED_ON = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "no_proxy",
    "NO_PROXY",
)
# A shell that limits the size of every file that git writes, in units of 512 bytes, and becomes git.
_LIMITED = ("/bin/sh", "-c", 'ulimit -f "$0" && exec git "$@"')
_MARKUP = (".md", ".markdown", ".mdx", ".rst")
_SSH = re.compile(r"(?:ssh://)?(?:[\w.-]+@)?(?P<host>[\w.-]+)(?::\d+)?[:/](?P<path>[^/].*)")


async def fetch_repository(
    source: SourceSettings, draft: Draft, before: Mapping[str, Any], store: SourceStore
) -> tuple[dict[str, Any], list[str]]:
    """Read the files of a repository into the draft. `before` is the manifest of the last fetch.

    Returns the entries for the manifest of this fetch, and notes on files that were left out. Raises SourceError.
    """
    git = _Git(source, store.repository)
    newest = await _newest(git, source)
    await git("init", "--quiet", "--bare", "--template=", str(store.repository), here=False)
    if await git.fetched() != newest.commit:
        await asyncio.to_thread(_clear, store.repository)
        await git(
            *("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"),
            *("--", source.url, f"+{newest.ref}:{_FETCHED}"),
        )
        await git("gc", "--quiet", "--prune=now")
    commit = await git.fetched()
    files = await _files(git, commit, source.folder.strip("/"))
    notes = _left_out(files)
    wanted = [file for file in files if file.is_wanted]
    link = source.link or link_template(source.url, newest.branch)
    blobs = {file.path: file.blob for file in wanted}
    known = before.get("blobs", {})
    new = [file for file in wanted if known.get(file.path) != file.blob or not draft.has(file.path)]
    for file in (file for file in wanted if file not in new):
        await asyncio.to_thread(draft.keep, file.path, file_address(link, file.full_path))
    async for file, content in git.contents(new):
        await asyncio.to_thread(draft.write, file.path, content, file_address(link, file.full_path))
    return {"blobs": blobs, "commit": commit}, notes


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest commit, the reference that leads to it, and the name of its branch or tag."""

    commit: str
    ref: str
    branch: str


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a commit. `path` counts from the folder that is read, `full_path` from that of the repository."""

    path: str
    full_path: str
    mode: str
    blob: str
    size: int

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix.lower()

    @property
    def is_document(self) -> bool:
        return (self.suffix in LOADERS or self.suffix in OTHER_FORMATS) and is_plain(self.path)

    @property
    def is_wanted(self) -> bool:
        return self.is_document and self.mode in _ORDINARY and self.size <= _LARGEST_FILE


def _clear(repository: Path) -> None:
    """Remove the temporary files of interrupted fetches."""
    for left in repository.glob("objects/**/tmp_*"):
        left.unlink(missing_ok=True)


async def _newest(git: "_Git", source: SourceSettings) -> _Newest:
    """Find the newest commit of the branch or tag in the settings. Raises SourceError."""
    wanted = (f"refs/heads/{source.branch}", f"refs/tags/{source.branch}") if source.branch else ("HEAD",)
    output = await git("ls-remote", "--symref", "--", source.url, *wanted, here=False)
    lines = [line.split("\t") for line in output.decode("utf-8", "replace").splitlines() if "\t" in line]
    commits = {name: value for value, name in lines if not value.startswith("ref: ")}
    for name in wanted:
        if commit := commits.get(f"{name}^{{}}") or commits.get(name):
            main = next((value.removeprefix("ref: refs/heads/") for value, _ in lines if value.startswith("ref: ")), "")
            return _Newest(commit, name, source.branch or main or "HEAD")
    if source.branch:
        raise SourceError(f"{source.shown_url} has no branch or tag {source.branch}; check its setting branch")
    raise SourceError(f"{source.shown_url} is empty; commit something there")


async def _files(git: "_Git", commit: str, folder: str) -> list[_File]:
    """Return the files of a folder. Raises SourceError if there is no such folder."""
    tree = f"{commit}:{folder}" if folder else commit
    try:
        output = await git("ls-tree", "-r", "-z", "--long", tree)
    except SourceError as error:
        if not folder:
            raise
        raise SourceError(f"there is no folder {folder} in the repository; check its setting folder") from error
    return [_file(line, folder) for line in output.decode("utf-8", "surrogateescape").split("\0") if line]


def _file(line: str, folder: str) -> _File:
    described, _, path = line.partition("\t")
    mode, _, blob, size = described.split()
    return _File(path, f"{folder}/{path}" if folder else path, mode, blob, int(size) if size.isdecimal() else 0)


def _left_out(files: Sequence[_File]) -> list[str]:
    unread = [file for file in files if file.is_document and not file.is_wanted]
    too_large = [file.path for file in unread if file.mode in _ORDINARY]
    links = [file.path for file in unread if file.mode not in _ORDINARY]
    return [
        f"{counted(len(paths), 'file')} left out ({reason}): {paths[0]}"
        for reason, paths in (("too large", too_large), ("a link", links))
        if paths
    ]


# --- addresses --------------------------------------------------------------------------------------------------------


def link_template(url: str, branch: str) -> str:
    """Return the address of a file on the web, with {path}, {first} and {last}; empty if that isn't known."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        host, path = parts.netloc.rpartition("@")[2], parts.path
    elif found := _SSH.fullmatch(url):
        host, path = found["host"], found["path"]
    else:
        return ""
    home = f"https://{host}/{path.strip('/').removesuffix('.git')}"
    name, branch = host.lower().partition(":")[0], quote(branch)
    if name == "github.com":
        return f"{home}/blob/{branch}/{{path}}#L{{first}}-L{{last}}"
    if "gitlab" in name:
        return f"{home}/-/blob/{branch}/{{path}}#L{{first}}-{{last}}"
    if name == "codeberg.org" or re.search(r"\b(?:gitea|forgejo)\b", name):
        return f"{home}/src/branch/{branch}/{{path}}#L{{first}}-L{{last}}"
    return ""


def file_address(link: str, path: str) -> str:
    """Return the address of a file; `{first}` and `{last}` are left for its lines."""
    address = link.replace("{path}", quote(path.encode("utf-8", "surrogateescape")))
    if not path.lower().endswith(_MARKUP) or "?" in address:
        return address
    # These hosts show lines of markup only where it is asked for as plain text.
    for host, query in (("github.com/", "plain=1"), ("/-/blob/", "plain=1"), ("/src/branch/", "display=source")):
        if host in address:
            return address.replace("#", f"?{query}#", 1)
    return address


# --- the program ------------------------------------------------------------------------------------------------------


class _Git:
    """Runs the program in one repository: without prompts, hooks, settings of this machine, and protocols that run programs."""

    def __init__(self, source: SourceSettings, repository: Path) -> None:
        self._source = source
        self._repository = repository
        self._limit = str(source.megabytes * 2**20 // 512)
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._environment = passed_on | {
            "LC_ALL": "C.UTF-8",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "SSH_ASKPASS": "true",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=20",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:git" + (":file" if source.private else ""),
        }

    async def __call__(self, *arguments: str, here: bool = True) -> bytes:
        """Run a command, in the repository if `here`, and return its output. Raises SourceError."""
        process = await self._start(*arguments, here=here)
        try:
            async with asyncio.timeout(_LONGEST):
                said, complaint = await process.communicate()
        except TimeoutError as error:
            raise SourceError(
                f"git {arguments[0]} takes longer than {_LONGEST:g} seconds; check the network"
            ) from error
        finally:
            await _end(process)
        if process.returncode:
            raise SourceError(self._reason(arguments[0], process.returncode, complaint))
        return said

    async def fetched(self) -> str:
        """Return the commit of the last fetch; empty before the first one."""
        try:
            return (await self("rev-parse", "--quiet", "--verify", f"{_FETCHED}^{{commit}}")).decode().strip()
        except SourceError:
            return ""

    async def contents(self, files: Sequence[_File]) -> AsyncIterator[tuple[_File, bytes]]:
        """Yield files with their content."""
        if not files:
            return
        process = await self._start("cat-file", "--batch", asks=True)
        assert process.stdin is not None and process.stdout is not None  # noqa: S101
        try:
            for file in files:
                async with asyncio.timeout(_LONGEST):
                    process.stdin.write(f"{file.blob}\n".encode())
                    await process.stdin.drain()
                    header = await process.stdout.readline()
                    content = await process.stdout.readexactly(int(header.split()[2]) + 1)
                yield file, content[:-1]
        except (TimeoutError, OSError, IndexError, ValueError, asyncio.IncompleteReadError) as error:
            raise SourceError(
                "a file of the repository can't be read; it is tried again with the next fetch"
            ) from error
        finally:
            await _end(process)

    async def _start(self, *arguments: str, here: bool = True, asks: bool = False) -> asyncio.subprocess.Process:
        place = (f"--git-dir={self._repository}",) if here else ()
        settings = ("-c", f"core.hooksPath={os.devnull}", "-c", "http.followRedirects=false", "-c", "gc.auto=0")
        try:
            return await asyncio.create_subprocess_exec(
                *(*_LIMITED, self._limit, *settings, *place, *arguments),
                stdin=asyncio.subprocess.PIPE if asks else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL if asks else asyncio.subprocess.PIPE,
                env=self._environment,
                start_new_session=True,  # so that its helpers end with it
            )
        except OSError as error:
            raise SourceError(f"git can't be started ({error.strerror}); install it") from error

    def _reason(self, command: str, code: int, complaint: bytes) -> str:
        lines = [line.strip() for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
        why = next(
            (line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else f"status {code}"
        )
        if -code == signal.SIGXFSZ or any(f"signal {signal.SIGXFSZ.value}" in line for line in lines):
            return f"it takes more than {counted(self._source.megabytes, 'megabyte')}; raise its setting megabytes"
        if code == 127:
            return "the program git is missing; install it"
        why = why.replace(self._source.url, self._source.shown_url)
        return f"git {command} has failed ({why}); check the address, and whether this machine may read the repository"


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a process and its helpers, if they still run."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
