"""The types that the values of settings have."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def _at_home(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise ValueError(f"nobody's home folder is called {folder.parts[0]}") from error


def _stripped(secret: SecretStr) -> SecretStr:
    return SecretStr(secret.get_secret_value().strip())  # a copied token often has a line break at its end


WEB_ADDRESS = r"^(https?://\S+)?$"
"""The pattern of a setting that is a web address or empty."""

Origin = Annotated[str, Field(pattern=r"^https?://[^\s/*]+$")]
"""The origin of a page as browsers send it: without a path, and without a slash at the end."""

Seconds = Annotated[float, Field(gt=0)]
Secret = Annotated[SecretStr, AfterValidator(_stripped)]

Folder = Annotated[Path, AfterValidator(_at_home)]
"""A path that may begin with `~`."""

OptionalFile = Annotated[Folder | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A path that may begin with `~`, or None, which is written as an empty text."""


class SettingsSection(BaseModel):
    """A section of the settings file. Its fields are the settings, each with its default and its help."""

    model_config = ConfigDict(extra="forbid", frozen=True)
