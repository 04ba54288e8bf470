"""`pytest-tt gate`: is this run worse than the baseline?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_tt.ci.gate.rules import RuleSet
    from pytest_tt.results.reading import Document, Key
    from pytest_tt.results.row import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument("current", nargs="+", type=Path, metavar="CURRENT", help="Results documents of this run")
    parser.add_argument(
        "--baseline",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help="Results document to compare with; can be repeated",
    )
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="RULE=VALUE",
        help="Set a rule, e.g. pcc_drop=0.01, run_ratio=1.5 or hw.run_ratio=1.2 (that backend only), "
        "collectives=false (off); can be repeated",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file with the table [tool.pytest-tt.gate] (default: pyproject.toml, if it has one)",
    )
    parser.add_argument("--rules", action="store_true", help="Print the rules in force before the findings")
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help="Write the findings as Markdown; - is stdout, $GITHUB_STEP_SUMMARY is appended to",
    )
    parser.add_argument("--github", action="store_true", help="Print GitHub annotations too")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings. Returns 0, or 1 where there is a regression."""
    from pytest_tt.ci.gate.changes import REGRESSION
    from pytest_tt.ci.gate.comparing import compare_rows
    from pytest_tt.ci.gate.output import annotation_lines, lines, markdown, verdict
    from pytest_tt.ci.gate.rules import RulesError, read_rules
    from pytest_tt.ci.report.github import STDOUT, write_markdown
    from pytest_tt.results.merging import join_rows
    from pytest_tt.results.reading import DocumentError, read_documents

    try:
        rules = read_rules(arguments.config or Path("pyproject.toml"), required=arguments.config is not None)
        rules = rules.with_assignments(arguments.rule, "--rule")
        documents, baselines = read_documents(arguments.current), read_documents(arguments.baseline)
        current, baseline = join_rows(documents), join_rows(baselines)
        if not baseline.keys() & current.keys():
            raise DocumentError(f"nothing to compare: {_describe(current)}, in the baseline {_describe(baseline)}")
    except (DocumentError, RulesError) as error:
        raise UnusableError(error) from None
    changes = list(compare_rows(baseline, current, rules))
    compared = len(baseline.keys() & current.keys())
    sources = f"Baseline: {_origin(baselines)}. Now: {_origin(documents)}. Rules: {_of(rules)}."
    if arguments.markdown is not None:
        try:
            write_markdown(arguments.markdown, markdown(changes, compared, sources))
        except OSError as error:
            raise UnusableError(f"--markdown {arguments.markdown}: cannot be written: {error.strerror}") from None
    if arguments.markdown != STDOUT:
        shown = _rule_lines(rules) if arguments.rules else []
        print("\n".join([sources, *shown, *lines(changes), verdict(changes, compared)]))
    if arguments.github:
        print("".join(f"{line}\n" for line in annotation_lines(changes)), end="")
    return 1 if any(change.kind == REGRESSION for change in changes) else 0


def _describe(rows: dict[Key, Row]) -> str:
    places = sorted({" ".join(filter(None, (key.backend, key.system))) for key in rows})
    return f"{len(rows)} tests{' on ' if places else ''}{', '.join(places)}"


def _origin(documents: Sequence[Document]) -> str:
    parts = []
    for document in documents:
        commit = f"commit {document.run.commit[:9]}" if document.run.commit else "commit unknown"
        parts.append(f"{document.path} ({document.run.start:%Y-%m-%d %H:%M}, {commit})")
    return ", ".join(parts)


def _of(rules: RuleSet) -> str:
    return ", ".join(rules.sources) or "the defaults"


def _rule_lines(rules: RuleSet) -> list[str]:
    from pytest_tt.ci.gate.rules import describe

    return [f"rule          {line}" for line in describe(rules)]


COMMAND = Command(
    name="gate",
    help="Compare results documents with a baseline; exit 1 where something got worse",
    arguments=add_arguments,
    run=run,
)
