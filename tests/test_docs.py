"""README.md and docs/ say what the code does: each block of code is run or parsed, what it shows is what is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from docs_blocks import SLOW, Block, as_shown, follow, read_blocks, tree_names

from pytest_tt.targets.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
}

# Blocks that no test runs, and why; another such block changes a line here.
NOT_RUN = {
    "README.md": {"nox runs it, session readme": 2, "needs a card": 1, "needs the network": 1},
    "docs/add_a_model.md": {"needs the network": 2, "needs jax-tt-plugin, and minutes": 1},
    "docs/compile.md": {"needs the network": 1, "a part of the output": 1},
    "docs/emulation.md": {"needs the network": 1},
    "docs/index.md": {"needs the network": 1, "needs a card": 1},
    "docs/kernels.md": {"downloads 300 MB": 1, "needs ttnn": 1},
    "docs/pytorch.md": {"nox runs it, session pytorch": 1},
    "docs/simulation.md": {"nox runs it, session compiler": 1},
    "docs/zoos_elsewhere.md": {"nox runs it, session elsewhere": 1},
}
# Blocks that run only if DOCS_SLOW is set, as in nox's session docs.
RUN_IN_NOX = {
    "docs/goldens.md": 2,
    "docs/hardware.md": 3,
    "docs/index.md": 2,
    "docs/meshes_and_systems.md": 3,
    "docs/zoos_elsewhere.md": 1,
}
# Blocks that run only where a package is installed, as in nox's sessions compiler, emulator and pytorch.
NEED = {
    "README.md": {"jax-tt-plugin": 2},
    "docs/compile.md": {"jax-tt-plugin": 6},
    "docs/compiler_faults.md": {"jax-tt-plugin": 3},
    "docs/emulation.md": {"jax-tt-plugin": 2},
    "docs/models_on_the_chip.md": {"jax-tt-plugin": 1},
    "docs/pytorch.md": {"torchax": 1, "torchax, jax-tt-plugin": 1},
}

# Pages of which the same is true of all blocks.
PAGES_IN_NOX = ("docs/goldens.md", "docs/results.md", "docs/scripts_and_notebooks.md", "docs/write_a_test.md")

# Pages that another script follows, which takes longer; nox runs it.
FOLLOWED_BY = {"docs/add_a_model.md": "tests/walkthrough.py"}


# With DOCS_SLOW=only, what the usual run has of the others is left out.
FOLLOWED = [*PAGES_IN_NOX, *RUN_IN_NOX] if os.environ.get(SLOW) == "only" else PAGES


def blocks_of(page: str) -> list[Block]:
    return read_blocks(page, PAGES[page])


@pytest.mark.parametrize(
    "page", [page for page in dict.fromkeys(FOLLOWED) if blocks_of(page) and page not in FOLLOWED_BY]
)
def test_what_a_page_shows_is_what_happens(page: str, tmp_path: Path) -> None:
    if page in PAGES_IN_NOX and not os.environ.get(SLOW):
        pytest.skip(f"takes long: set {SLOW}=1, as nox's session docs does")
    (tmp_path / "tools").mkdir()
    (tmp_path / "example").mkdir()
    follow(blocks_of(page), tmp_path / "example", tmp_path / "tools")


@pytest.mark.parametrize(("page", "script"), FOLLOWED_BY.items())
def test_what_follows_a_page_is_run_by_nox(page: str, script: str) -> None:
    assert f'"{page}"' in (ROOT / script).read_text(encoding="utf-8")
    assert f'"{script}"' in (ROOT / "noxfile.py").read_text(encoding="utf-8")


def test_blocks_that_are_not_run_are_counted() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page)]
    reasons = {page: Counter(b.reason for b in blocks if b.page == page and b.reason is not None) for page in PAGES}
    assert {page: dict(count) for page, count in reasons.items() if count} == NOT_RUN
    assert Counter(block.page for block in blocks if block.slow) == RUN_IN_NOX
    needs = {page: Counter(b.needs for b in blocks if b.page == page and b.needs is not None) for page in PAGES}
    assert {page: dict(count) for page, count in needs.items() if count} == NEED


@pytest.mark.parametrize("page", [page for page in PAGES if page not in FOLLOWED_BY])
def test_no_file_is_shown_for_nothing(page: str) -> None:
    """A test file that no command of its page runs would never run."""
    blocks = blocks_of(page)
    for at, block in enumerate(blocks):
        if block.language == "python" and block.title is not None:
            path = Path(block.title)
            if path.name == "conftest.py":
                continue
            later = "".join(other.text for other in blocks[at + 1 :])
            names = "|".join(map(re.escape, filter(None, [path.name, path.parent.name, path.stem])))
            assert re.search(rf"\b({names})\b", later), f"{block.place}: {block.title}"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\nc\n", "a\nb\n", False),
        ("a … c\n", "a b c\n", True),
        ("a … c\n", "a b d\n", False),
        ("= 1 passed in 0.50s =\n", "= 1 passed in 12.25s =\n", True),
        ("=== 1 passed in 0.50s ===\n", "= 2 passed in 0.50s ==\n", False),
        ("platform linux -- Python 3.11\n", "platform linux -- Python 3.13\n", True),
        ("pcc 0.99\n", "pcc 0.98\n", False),
        ("(jax 0.10.2)\n", "(jax 0.7.1)\n", True),
        ("a.b\n", "axb\n", False),
        ("", "a\n", False),
    ],
)
def test_the_rules_of_comparing(shown: str, printed: str, same: bool) -> None:
    assert as_shown(shown, printed) is same


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '```python title="test_x.py"\nassert False\n```\n```console\n$ cat test_x.py\nassert True\n```\n',
            "-assert True",
        ),
        ("```python\nassert 1 == 2\n```\n", "AssertionError"),
        ("```shell\ntrue\nfalse\n```\n", "exit code 1"),
        ("```toml\na =\n```\n", "is not toml"),
        ("```json\n{\n```\n", "is not json"),
        ("```yaml\na: [\n```\n", "is not yaml"),
        ("```tree\ntests/    tests\n  nowhere.py  nothing\n```\n", "the repository has no tests/nowhere.py"),
        ("```text\nanything\n```\n", "a block of 'text'"),
        ("```python\n1\n", "does not end"),
        ("```console\nno command\n```\n", "begins with a command"),
    ],
)
def test_a_page_that_lies_is_found(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    with pytest.raises(AssertionError, match=re.escape(problem)):
        follow(read_blocks("page.md", text), tmp_path, tmp_path / "tools")


def test_marks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SLOW, raising=False)
    text = (
        "<!-- not run: needs a card -->\n```shell\nfalse\n```\n\n- <!-- slow -->\n<!-- slow -->\n```shell\nfalse\n```\n"
        "<!-- needs: no-such-package -->\n```shell\nfalse\n```\n<!-- needs: pytest -->\n```shell\nfalse\n```\n"
    )
    first, second, third, fourth = read_blocks("page.md", text)
    assert (first.reason, first.slow, second.reason, second.slow) == ("needs a card", False, None, True)
    assert (third.needs, fourth.needs) == ("no-such-package", "pytest")
    follow([first, second, third], tmp_path, tmp_path)
    with pytest.raises(AssertionError, match="exit code 1"):
        follow([fourth], tmp_path, tmp_path)
    monkeypatch.setenv(SLOW, "1")
    with pytest.raises(AssertionError, match="exit code 1"):
        follow([second], tmp_path, tmp_path)


def test_the_reference_is_what_the_code_says() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(DOCS / "generator/reference.py"), "--check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_page_is_in_the_navigation() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"[\w/]+\.md", json.dumps(config["nav"]))
    assert sorted(listed) == sorted(page.removeprefix("docs/") for page in PAGES if page.startswith("docs/"))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    folder = (ROOT / page).parent
    assert [link for link in links if link and not (folder / link).exists()] == []


def test_the_two_commands() -> None:
    assert re.findall(r"^pip install -e .* && .*$", README, re.MULTILINE) == [
        'pip install -e ".[zoo]" && pytest -p pytest_tt --tt-mesh 1x2 zoo',
        'pip install -e ".[dev]" && pytest -n auto',
    ]


def test_the_layout_is_shown() -> None:
    """README and CONTRIBUTING show the same tree, with every room; that each name exists is tested with the pages."""
    pages = {page: (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "CONTRIBUTING.md")}
    trees = [
        block.text for page, text in pages.items() for block in read_blocks(page, text) if block.language == "tree"
    ]
    assert len(trees) == 2
    assert trees[0] == trees[1]
    assert len(trees[0].splitlines()) <= 25
    packages = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/__init__.py")}
    rooms = {f"{package}/" for package in packages if package.split("/")[0] in ("pytest_tt", "zoo")}
    models = {f"zoo/{path.parent.name}/" for path in (ROOT / "zoo").glob("*/README.md")}
    assert rooms - models <= set(tree_names(trees[0]))


def test_every_model_of_the_zoo_is_in_the_table() -> None:
    models = {path.parent.name for path in (ROOT / "zoo").glob("*/README.md")}
    rows = re.findall(r"^\| \[(\w+)\]\(zoo/", README, re.MULTILINE)
    assert sorted(models) == sorted(rows)


def test_the_form_for_results_names_every_system() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/hardware_result.yml").read_text(encoding="utf-8"))
    (options,) = (part["attributes"]["options"] for part in form["body"] if part.get("id") == "system")
    assert options == [*SYSTEMS, "another"]


def test_changelog_fragments_are_of_a_known_kind() -> None:
    """towncrier silently ignores a fragment of an unknown kind."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    kinds = "|".join(kind["directory"] for kind in project["tool"]["towncrier"]["type"])
    names = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert [name for name in names if not re.fullmatch(rf"(\d+|\+\w+)\.({kinds})(\.\d+)?\.md", name)] == []
