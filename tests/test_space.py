"""deploy/space: the folder that becomes a Hugging Face Space."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_a_space_is_made_in_one_step(tmp_path, folder_of):
    """With the header that Hugging Face reads, the program, its requirements and the documents."""
    documents = folder_of({"guide.md": "# Guide\n", "more/faq.csv": "a,b\n"})
    space = tmp_path / "space"
    made = [sys.executable, "-W", "ignore", str(ROOT / "deploy" / "space" / "make.py")]
    subprocess.run([*made, "--documents", str(documents), "--to", str(space)], check=True)
    _, header, _ = (space / "README.md").read_text().split("---", 2)
    read = yaml.safe_load(header)
    assert (read["sdk"], (space / read["app_file"]).is_file()) == ("gradio", True)
    assert f"{sys.version_info[0]}." == read["python_version"][:2]
    assert [(space / "knowledge" / name).is_file() for name in ("guide.md", "more/faq.csv")] == [True, True]
    assert (space / "bot" / "models" / "reader").is_dir()
    assert list(space.rglob("__pycache__")) == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) < set((space / "requirements.txt").read_text().splitlines())
    imported = {
        node.module for node in ast.walk(ast.parse((space / "app.py").read_text())) if isinstance(node, ast.ImportFrom)
    }
    for module in (name for name in imported if name.startswith("bot.")):
        assert (space / f"{module.replace('.', '/')}.py").is_file()
