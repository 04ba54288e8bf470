"""The command ``python -m zoo eval``: a language model, its checkpoint, a mesh, and one of lm-eval's tasks."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.cli.command import Parser, UnusableError
from pytest_tt.files import write_atomically
from pytest_tt.text import short_count, table
from zoo.checkpoints.tensor_files import CheckpointError
from zoo.cli.demo import DemoError, refused, whole_number
from zoo.cli.run import add_common, find
from zoo.cli.stage import ModelStage
from zoo.evaluation.questions import TASKS, QuestionsError, read_questions, write_task
from zoo.text.chat import ChatError, has_template
from zoo.text.continuation import stop_tokens
from zoo.text.generation_config import not_applied
from zoo.text.tokenizer import TokenizerError, read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.evaluation.harness import ZooLM
    from zoo.evaluation.language_model import LanguageModel
    from zoo.registry import Model

PROG = "python -m zoo eval"

SEED = 1234
"""Of the choice of examples; lm-eval's own."""

RESAMPLED = 1000
"""Draws for the standard errors that have no formula."""

DESCRIPTION = (
    "Score a language model by one of the tasks of EleutherAI's lm-eval (pip install 'pytest-tt[eval]'). With --file, "
    "questions of GSM8K's form are asked from a file of JSON lines and no data are fetched; without, lm-eval fetches "
    "those of the task."
)


def run(words: Sequence[str]) -> int:
    """Evaluate as `words` ask and print the scores. Returns 0. Raises UnusableError and ZooError."""
    parser = Parser(prog=PROG, description=DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="a language model of the zoo, or one of its variants")
    name, *rest = words or ("--help",)
    if name in ("-h", "--help"):
        parser.print_help()
        print(f"\n{PROG} MODEL --help says what it takes.")
        return 0
    parser = Parser(prog=f"{PROG} {name}", description=DESCRIPTION)
    try:
        if name.startswith("-"):
            raise DemoError(f"name the model before {name}, e.g. {PROG} qwen2.5-0.5b-instruct --task gsm8k")
        model, named = find(name)
        add_common(parser, model)
        add_arguments(parser)
        options = parser.parse_args(rest)
        print(evaluated(model, named, options))
    except (DemoError, CheckpointError, QuestionsError, TokenizerError, ChatError) as error:
        raise UnusableError(error) from None
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked, and how."""
    asked = parser.add_argument_group("what is asked")
    asked.add_argument("--task", metavar="NAME", help="a task of lm-eval, or the YAML file of one (with --file: gsm8k)")
    asked.add_argument(
        "--file", type=Path, metavar="FILE", help='JSON lines {"question": …, "answer": "… #### 18"} to ask instead'
    )
    asked.add_argument("--examples", type=Path, metavar="FILE", help="the same, to show before each question of --file")
    asked.add_argument("--shots", type=whole_number(0), metavar="N", help="how many examples (default: the task's)")
    asked.add_argument("--limit", type=whole_number(1), metavar="N", help="only the first N questions")
    how = parser.add_argument_group("how it is asked")
    how.add_argument(
        "--chat",
        action=argparse.BooleanOptionalAction,
        help="as messages, by the checkpoint's chat template (default: where the variant is an Instruct one)",
    )
    how.add_argument("--system", metavar="TEXT", help="the system's message before them")
    how.add_argument("--tokens", type=whole_number(1), metavar="N", default=256, help="longest answer (default: 256)")
    how.add_argument("--batch", type=whole_number(1), metavar="N", default=8, help="texts at once (default: 8)")
    how.add_argument("--dtype", help="of weights and cache, where the model has a choice (default: the variant's)")
    how.add_argument("--output", type=Path, metavar="FILE", help="write scores, prompts and answers as JSON")


def evaluated(model: Model, named: str | None, options: argparse.Namespace) -> str:
    """The scores and what they were measured on. DemoError, or an error of the same kind, for what cannot be used."""
    try:
        from lm_eval.evaluator import evaluate

        from zoo.evaluation.harness import ZooLM
    except ImportError as error:
        raise DemoError(f"lm-eval is not installed ({error}): pip install 'pytest-tt[eval]'") from None
    from zoo.evaluation.language_model import LanguageModel

    if model.decoder is None:
        raise DemoError(f"{model.name} writes no text: expected a language model, e.g. gpt2 or qwen2_5")
    if str(options.mesh) not in model.sharding.meshes:
        raise DemoError(
            f"mesh {options.mesh} is not one that {model.name} claims: expected one of "
            f"{', '.join(model.sharding.meshes)}"
        )
    assert model.demo is not None
    demo = model.demo()
    stage = ModelStage(
        model, demo, named=named, shape=options.mesh, backend=options.backend, checkpoint=options.checkpoint
    )
    with tempfile.TemporaryDirectory() as room:
        named_task = _task(options, Path(room))
        config = _config(stage, options)
        chat = stage.variant.endswith("-instruct") if options.chat is None else options.chat
        if chat and not has_template(stage.directory):
            raise DemoError(f"{stage.directory}: has no chat template: leave --chat out, or say --no-chat")
        if options.system is not None and not chat:
            raise DemoError("--system is for chats: add --chat, or leave it out")
        tokenizer = read_tokenizer(stage.directory, demo.older_tokenizers)
        if tokenizer.get_vocab_size() > config.vocab_size:
            raise DemoError(
                f"{stage.directory}: its tokenizer has {tokenizer.get_vocab_size()} tokens, the weights have "
                f"{config.vocab_size}: tokenizer and weights do not match"
            )
        stops = stop_tokens(stage.directory)
        with refused(KeyError, ValueError):
            tasks = _loaded(named_task, None if options.file else options.shots)
        network = LanguageModel(model, config, stage.load(config), stage.mesh, rows=options.batch)
        harness = ZooLM(
            network, tokenizer, stage.directory, stops=stops, prefix=prefix_token(stage.directory, tokenizer, stops),
            new_tokens=options.tokens,
        )  # fmt: skip
        os.environ.setdefault("DISABLE_MULTIPROC", "1")  # or lm-eval forks this process, whose threads are jax's
        start = time.perf_counter()
        with refused(ValueError):
            results: Any = evaluate(
                harness,
                tasks,
                limit=options.limit,
                bootstrap_iters=RESAMPLED,
                apply_chat_template=chat,
                fewshot_as_multiturn=chat,
                system_instruction=options.system,
            )
        seconds = time.perf_counter() - start
    if options.output is not None:
        _write(options.output, results)
    return f"{_scores(results)}\n\n{_facts(stage, network, harness, results, chat, seconds)}"


def _task(options: argparse.Namespace, room: Path) -> Path | str:
    """The name of a task that lm-eval knows, or a file with one."""
    if options.task is None and options.file is None:
        raise DemoError("nothing is asked: name a --task, e.g. gsm8k, or a --file of questions")
    name: str = options.task or TASKS[0]
    if options.file is None:
        if options.examples is not None:
            raise DemoError("--examples are for the questions of --file: name one, or leave them out")
        return Path(name) if Path(name).is_file() else name
    if name not in TASKS:
        raise DemoError(f"--task {name}: a --file is asked as one of {', '.join(TASKS)}")
    import lm_eval.tasks

    base = Path(lm_eval.tasks.__file__).parent / "gsm8k" / f"{name.replace('_', '-')}.yaml"
    if not base.is_file():
        raise DemoError(f"--task {name}: this version of lm-eval does not have it at {base}: take another version")
    questions = read_questions(options.file)
    examples = [] if options.examples is None else read_questions(options.examples)
    return write_task(room, base, f"{name}_file", questions, examples, shots=options.shots)


def _loaded(task: Path | str, shots: int | None) -> Any:
    """The tasks as lm-eval evaluates them, with `shots` examples where that is not None."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_defaults=isinstance(task, str))
    if isinstance(task, str) and task not in manager.task_index:
        raise DemoError(f"--task {task}: lm-eval has no such task (lm-eval ls tasks shows them), nor is it a file")
    try:
        loaded = manager.load([str(task)])
    except OSError as error:
        raise DemoError(
            f"--task {task}: its data cannot be had ({' '.join(str(error).split())}); fetch them where there is a "
            "network, or ask questions of a --file"
        ) from None
    for found in loaded["tasks"].values():
        if shots is not None or found.get_config("num_fewshot") is None:
            found.set_config(key="num_fewshot", value=shots or 0)
        found.set_fewshot_seed(seed=SEED)
    return loaded


def _config(stage: ModelStage, options: argparse.Namespace) -> Any:
    """The variant's, in the dtype asked for. DemoError where that, or the length of answers, is not possible."""
    config = stage.config
    if options.dtype is not None:
        if "dtype" not in {field.name for field in fields(config)}:
            raise DemoError(f"--dtype {options.dtype}: {stage.model.name} has no choice; leave it out")
        with refused(ValueError):
            config = replace(config, dtype=options.dtype)
    if options.tokens >= config.max_position_embeddings:
        raise DemoError(
            f"--tokens {options.tokens}: {stage.variant} has {config.max_position_embeddings} positions in all"
        )
    return config


def prefix_token(directory: Path, tokenizer: Any, stops: Sequence[int]) -> int:
    """What stands before a text that is scored from its first token on: the token that begins texts, or ends them."""
    path = directory / "tokenizer_config.json"
    with refused(ValueError):
        found = json.loads(path.read_bytes()) if path.is_file() else {}
    for name in ("bos_token", "eos_token"):
        text = found.get(name)
        token = tokenizer.token_to_id(text.get("content") if isinstance(text, dict) else text) if text else None
        if token is not None:
            return int(token)
    return stops[0] if stops else 0


def _scores(results: Mapping[str, Any]) -> str:
    """A row for each task, filter and metric."""
    rows = []
    for task, found in results["results"].items():
        for key, value in found.items():
            metric, _, kind = key.partition(",")
            if not kind or metric.endswith("_stderr") or not isinstance(value, (int, float)):
                continue
            error = found.get(f"{metric}_stderr,{kind}")
            spread = f"{error:.4f}" if isinstance(error, (int, float)) else "-"
            rows.append((task, kind, metric, f"{value:.4f}", spread))
    return table([("task", "filter", "metric", "value", "standard error"), *rows], right=(3, 4))


def _facts(
    stage: ModelStage, network: LanguageModel, harness: ZooLM, results: Mapping[str, Any], chat: bool, seconds: float
) -> str:
    """What it ran on."""
    target = stage.chips.target
    simulated = target.adjective != ""  # or emulated, which is on the same CPU
    chips = f"{stage.shape.chips} simulated chip{'s' * (stage.shape.chips > 1)}" if simulated else target.description
    asked = sum(count["effective"] for count in results["n-samples"].values())
    dtype = getattr(network.config, "dtype", "")
    shots = ", ".join(f"{count}" for count in results["n-shot"].values())
    rows = {
        "model": f"{stage.model.name}, {stage.variant}",
        "weights": str(stage.directory),
        "chips": f"mesh {stage.shape}, {chips} ({target.why})",
        "parameters": f"{short_count(stage.bytes_per_chip).strip()}B per chip{f', {dtype}' if dtype else ''}",
        "asked": f"{asked} questions, {shots} examples before each{', as messages' if chat else ''}",
        "time": f"load {stage.load_s:.1f} s, evaluation {seconds:.1f} s with compiling {network.programs} programs",
    }
    if stage.rounded:
        rows["rounded"] = stage.rounded
    told = not_applied(stage.directory, None)
    if told:
        rows["not applied"] = f"{told} (by the checkpoint's settings of generation: the task's count)"
    if network.written:
        rows["written"] = f"{network.written} tokens"
    return table(list(rows.items()))


def _write(path: Path, results: Mapping[str, Any]) -> None:
    """Scores and samples as JSON."""
    from lm_eval.utils import handle_non_serializable

    kept = {name: results[name] for name in ("results", "n-shot", "n-samples", "versions", "samples")}
    text = json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True, default=handle_non_serializable)
    with refused(OSError):
        write_atomically(path, f"{text}\n")
