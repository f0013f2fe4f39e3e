"""The settings of the documents: the folder and the sources that they come from."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bot.core.settings.values import WEB_ADDRESS, Folder, OptionalFile, Seconds, SettingsSection

_PLACE = r"^(?:discord(?::\d+)?|telegram(?::-?\d+)?|http)$"
_SOURCE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class KnowledgeSettings(SettingsSection):
    """The folder of documents, and how they become passages."""

    folder: Folder = Field(
        Path("knowledge"), description="The folder of documents to answer from. Change it where they lie elsewhere."
    )
    base_url: str = Field(
        "",
        pattern=WEB_ADDRESS,
        description="Where the folder is published; a document's path is put behind it to link to the document. Empty: "
        "only documents with a `url` of their own are linked. Set it where people can open the documents on "
        "the web.",
    )
    passage_tokens: int = Field(
        200,
        ge=32,
        le=2048,
        description="How long a passage gets at most, in tokens of the encoder, whose own window is the upper limit. Raise "
        "it for an encoder with a longer window.",
    )
    watch: bool = Field(
        True,
        description="Whether a running bot notices changes in the folder by itself. Turn it off where changes are to wait "
        "for a reload or the next start.",
    )
    rescan_seconds: Seconds = Field(
        60,
        description="Seconds between two looks at the whole folder, for file systems that don't tell of changes. Lower it "
        "where changes on a network drive are to be seen sooner.",
    )
    largest_megabytes: int = Field(
        100,
        ge=1,
        description="Megabytes that a file may have; larger ones are not read. Raise it where a larger document is worth "
        "the time.",
    )
    convert_seconds: Seconds = Field(
        60,
        description="Seconds that reading one file may take. Raise it where a long document is reported to take longer.",
    )
    convert_megabytes: int = Field(
        1024,
        ge=256,
        description="Megabytes of memory that reading one file may take. Raise it where a long document is reported to "
        "need more.",
    )
    golden_losses: int = Field(
        0,
        ge=0,
        description="How many golden questions a new index may answer worse before the previous one is kept. Raise it "
        "where some of them may get lost while the documents change much.",
    )


class SourceSettings(SettingsSection):
    """One block `[[sources]]`: a website, a git repository, channels of Discord, or an export of another program."""

    name: str = Field(
        "",
        description="The name of the source, of small letters, digits and hyphens; the paths of its documents begin with it. "
        "Set it for each source.",
    )
    kind: Literal["website", "git", "discord", "notion", "confluence", "google", "telegram"] = Field(
        "website",
        description="What the source is: website, read page by page; git, a repository; discord, solved posts of a server; or "
        "an export of notion, confluence, google or telegram. Set it for anything but a website.",
    )
    url: str = Field(
        "",
        description="The address of the start page or of the sitemap; for git, that of the repository, as for `git clone`. "
        "Set it for a website and for git.",
    )
    file: OptionalFile = Field(
        None,
        description="The export on this machine: the ZIP archive, or a folder with archives or with what was unpacked. Set it "
        "for an export.",
    )
    server: int = Field(0, description="The id of the Discord server whose channels are read. Set it for discord.")
    channels: tuple[int, ...] = Field(
        (),
        description="The ids of the forums, text channels and threads of Discord whose posts are read; of a text channel, its "
        "public threads are. Set it for discord.",
    )
    staff: tuple[str, ...] = Field(
        (),
        description="Whose marks and replies count: the accounts in a chat of Telegram, as the export calls them in `from_id`, "
        "such as user123456789; the roles on a Discord server, by name or id. Set it for telegram and discord.",
    )
    accepted: str = Field(
        "",
        description="The emoji by which the staff marks answers on Telegram and Discord; only messages with it are read then, "
        "whoever has written them. Empty: each reply of the staff. Set it where others than the staff answer well.",
    )
    tags: tuple[str, ...] = Field(
        (),
        description="The tags of solved posts in a forum of Discord, such as Solved; only posts with one of them are read. "
        "Without `accepted`, only moderators may be able to set them. Set it where solved posts have a tag.",
    )
    scope: tuple[Annotated[str, Field(pattern=_PLACE)], ...] = Field(
        (),
        description="The places whose questions the source answers: discord, telegram or http, or one server or chat, such as "
        "discord:123456789012345678 or telegram:-1001234567890. Empty: all; for discord, its server. Set it for documents that "
        "not everybody may see.",
    )
    interval_seconds: float = Field(
        86_400,
        ge=1,
        description="Seconds between two looks at the source. Lower it where changes are to be answered from sooner.",
    )
    megabytes: int = Field(
        500, ge=1, description="Megabytes that the source may take on the disk. Raise it for a larger source."
    )
    private: bool = Field(
        False,
        description="Whether addresses of this machine and of private networks may be asked, a git repository may lie in a "
        "folder, and a channel of Discord may be read that not everybody on its server sees. Turn it on where that is wanted.",
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="The hosts that a website's pages may be on, such as docs.example.org. Empty: that of `url` alone. "
        "Nothing else is ever asked for. Set it for a website on several hosts.",
    )
    paths: tuple[str, ...] = Field(
        (),
        description="What the paths of a website's pages begin with, such as /docs/. Empty: the folder of the start page, or "
        "all that a sitemap lists. Set it where only a part of the website, or more than that folder, is wanted.",
    )
    depth: int = Field(
        10,
        ge=0,
        description="How many links may be followed from the start page to a page. 0: the start page alone. Lower it where "
        "links lead too far.",
    )
    pages: int = Field(
        2000,
        ge=1,
        description="How many pages of a website, or posts of Discord, are read at most. Raise it for a larger source.",
    )
    requests_per_second: float = Field(
        2,
        gt=0,
        le=1000,
        description="How many requests a second a website or Discord gets. Raise it for a server of your own.",
    )
    branch: str = Field(
        "",
        description="The branch or tag of a git repository. Empty: its main branch. Set it where the documents of a release "
        "are wanted.",
    )
    folder: str = Field(
        "",
        description="The folder of a git repository whose files are read, such as docs. Empty: all of them. Set it where the "
        "rest isn't documentation.",
    )
    link: str = Field(
        "",
        description="The address of a file of a git repository on the web, with {path}, {first} and {last} for its path and "
        "lines; or of a page of Notion or Confluence, with {id}. Empty: as GitHub, GitLab, Gitea and Forgejo have it, where "
        "`url` leads to one of them, and none for the pages of an export. Set it for another site.",
    )

    @model_validator(mode="after")
    def _can_be_fetched(self) -> Self:
        if not _SOURCE_NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} is no name of a source; give it one of small letters, digits and hyphens: name"
            )
        if self.kind == "website" and not re.match(r"https?://[^\s/]+", self.url):
            raise ValueError(f"the source {self.name} needs the address of a website, with http:// or https://: url")
        if self.kind == "git":
            self._require_repository()
        elif self.kind == "discord":
            self._require_channels()
        elif self.kind != "website":
            self._require_export()
        return self

    def _require_repository(self) -> None:
        if not self.url or self.url.startswith("-") or "::" in self.url:
            raise ValueError(f"the source {self.name} needs the address of a git repository, as for `git clone`: url")
        remote = re.match(r"(?:https?|ssh|git)://|[\w.-]+@[\w.-]+:", self.url)
        if not remote and not self.private:
            raise ValueError(
                f"the repository of the source {self.name} lies on this machine; allow that by private = true, or give its "
                "address with https:// or ssh://"
            )
        if self.branch.startswith("-") or ".." in self.folder.split("/"):
            raise ValueError(f"the source {self.name} has a branch or a folder that can't be one: branch, folder")

    def _require_channels(self) -> None:
        if self.server <= 0 or not self.channels:
            raise ValueError(
                f"the source {self.name} needs the ids of a Discord server and of channels on it (with the Developer Mode on: "
                "right click, Copy ID): server, channels"
            )
        if not self.staff or not all(role.strip() for role in self.staff):
            raise ValueError(f"the source {self.name} needs the roles of those whose marks and replies count: staff")
        if not self.accepted and not self.tags:
            raise ValueError(
                f"the source {self.name} needs the emoji of accepted answers, or the tags of solved posts: accepted, tags"
            )

    def _require_export(self) -> None:
        if self.file is None:
            raise ValueError(f"the source {self.name} needs the path of an export of {self.kind.capitalize()}: file")
        if self.kind == "telegram" and not all(
            re.fullmatch(r"(?:user|channel)\d+", one) for one in self.staff or ("",)
        ):
            raise ValueError(
                f"the source {self.name} needs the accounts whose replies are answers, as the export calls them in from_id, "
                'such as "user123456789": staff'
            )
        if self.link and (self.kind not in ("notion", "confluence") or "{id}" not in self.link):
            raise ValueError(
                f"the source {self.name} has a link that doesn't fit: pages of Notion and Confluence have an address with "
                "{id} in it: link"
            )

    @property
    def places(self) -> tuple[str, ...]:
        """The places whose questions the source answers; empty for all. Without a scope, what a server says stays there."""
        return self.scope or ((f"discord:{self.server}",) if self.kind == "discord" else ())

    @property
    def shown_url(self) -> str:
        """The address without a password or token that it may hold, the path of the export, or the address of the server."""
        if self.kind == "discord":
            return f"https://discord.com/channels/{self.server}"
        if self.file is not None:
            return str(self.file)
        return re.sub(r"(?<=://)[^/@\s]*@", "", self.url)

    @property
    def secret(self) -> str:
        """The password or token in the address, or an empty text."""
        found = re.search(r"://(?:[^/@:\s]*:)?([^/@\s]+)@", self.url)
        return found[1] if found else ""
