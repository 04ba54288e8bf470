"""`pytest-tt` runs commands of other packages, by the entry-point group `pytest_tt_commands`."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_tt.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Install = Callable[..., None]

SAY = "def main(arguments):\n    print('said', *arguments)\n    return 7\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a distribution with one command: ``install("acme-zoo", "say", "acme:main", acme=SAY)``."""

    def make(distribution: str, command: str, value: str, **modules: str) -> None:
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[pytest_tt_commands]\n{command} = {value}\n")
        for name, code in modules.items():
            (site / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(site)

    return make


def test_gets_all_that_follows_and_gives_the_exit_code(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme-zoo", "acme-say", "acme_said:main", acme_said=SAY)
    assert main(["acme-say", "--help", "x"]) == 7
    assert capsys.readouterr() == ("said --help x\n", "")


def test_is_listed_with_where_it_comes_from(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme-zoo", "acme-say", "acme_listed:main")  # not imported for that: there is no such module
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "acme-say Command of acme-zoo 1.2" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('"""Say 100 % of it. And\nmore."""\n\nraise SystemExit', "Say 100 % of it (acme-zoo 1.2)"),
        ('"""Says\nthings\n\nat length."""', "Says things (acme-zoo 1.2)"),
        ("def main(", "Command of acme-zoo 1.2"),
        ("x = 1", "Command of acme-zoo 1.2"),
    ],
)
def test_is_listed_with_what_its_module_says(
    code: str, said: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("acme-zoo", "acme-say", "acme_about:main", acme_about=code)  # read, but not imported
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"acme-say {said}" in " ".join(capsys.readouterr().out.split())


def test_the_zoo_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "zoo The models of the zoo: list, run and score them" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module", "(ModuleNotFoundError: No module named 'no_such_module')"),
        ("main = 7", "'acme_broken:main', is not a function but int"),
        ("x = 1", "(AttributeError: module 'acme_broken' has no attribute 'main')"),
    ],
)
def test_broken(
    code: str,
    said: str,
    install: Install,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "acme_broken", raising=False)
    install("acme-zoo", "acme-say", "acme_broken:main", acme_broken=code)
    assert main(["acme-say"]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("pytest-tt acme-say: the command of acme-zoo 1.2")
    assert error.count("\n") == 1
    assert said in error


def test_two_of_one_name(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme-zoo", "acme-say", "acme_first:main", acme_first=SAY)
    install("other-zoo", "acme-say", "acme_second:main", acme_second=SAY)
    assert main(["acme-say"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "acme-zoo 1.2" in line
    assert "other-zoo 1.2" in line
    assert line.endswith("both have a command 'acme-say': uninstall one of them")


def test_one_distribution_seen_twice_is_no_clash(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("acme-zoo", "acme-say", "acme_twice:main", acme_twice=SAY)
    shutil.copytree(tmp_path / "acme-zoo", tmp_path / "again")
    monkeypatch.syspath_prepend(tmp_path / "again")
    assert main(["acme-say", "x"]) == 7
    assert capsys.readouterr().out == "said x\n"


def test_a_name_of_ours_stays_ours(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme-zoo", "systems", "acme_ours:main", acme_ours=SAY)
    assert main(["systems"]) == 0
    output, error = capsys.readouterr()
    assert "n300" in output
    assert error == "pytest-tt: acme-zoo 1.2: the command 'systems' is not used, pytest-tt has its own\n"


def test_an_unknown_command_is_one_line_that_lists_it(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme-zoo", "acme-say", "acme_unknown:main", acme_unknown=SAY)
    with pytest.raises(SystemExit) as stop:
        main(["acme-sya"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "acme-say" in error
