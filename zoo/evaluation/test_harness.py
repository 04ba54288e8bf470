"""What lm-eval gets of a model: answers and their ends, and how likely texts are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tt import open_chips
from zoo.checkpoints.placement import load_params
from zoo.evaluation.language_model import LanguageModel
from zoo.registry import model
from zoo.text.tokenizer import read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.evaluation.harness import ZooLM

pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'pytest-tt[eval]'")

VARIANTS = {"qwen2_5": "tiny-28-4", "gpt2": "tiny"}


def made(name: str, directory: Path, mesh: str, rows: int = 3) -> LanguageModel:
    """The tiny model whose checkpoint is in `directory`."""
    chips, zoo_model, variant = open_chips(mesh).mesh, model(name), VARIANTS[name]
    params = load_params(zoo_model, variant, chips, directory)
    return LanguageModel(zoo_model, zoo_model.config(variant), params, chips, rows=rows)


def harness_of(network: LanguageModel, directory: Path) -> ZooLM:
    from zoo.evaluation.harness import ZooLM

    tokenizer = read_tokenizer(directory)
    end = tokenizer.get_vocab_size() - 1
    return ZooLM(network, tokenizer, directory, stops=[end], prefix=end, new_tokens=9, progress=False)


def sum_of_logs(network: LanguageModel, text: Sequence[int], last: int) -> tuple[float, bool]:
    """Of the `last` tokens of a text: the logarithm of their probability, and whether each is the likeliest."""
    ((_, logs, likeliest),) = network.scored([text])
    return float(logs[-last:].sum()), bool(likeliest[-last:].all())


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_the_likeliest_of_several_answers(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A task of one's own, as lm-eval scores it, against what the model says of each token."""
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    rows = [{"text": f"{a}+2", "choices": [f"={c}" for c in (1, 23, 456)], "right": a % 3} for a in range(7)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    task = {
        "task": "mine", "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice",
        "dataset_kwargs": {
            "data_files": {"test": str(tmp_path / "rows.jsonl")}, "cache_dir": str(tmp_path / "cache")
        },
        "doc_to_text": "{{text}}", "doc_to_choice": "choices", "doc_to_target": "right", "target_delimiter": "",
        "num_fewshot": 0,
    }  # fmt: skip
    directory: Path = request.getfixturevalue(name)
    tokenizer = read_tokenizer(directory)
    found = {}
    for mesh in ("1x1", "1x8"):
        network = made(name, directory, mesh)
        tasks = TaskManager(include_defaults=False).load([task])
        results: Any = evaluate(harness_of(network, directory), tasks, bootstrap_iters=0)
        found[mesh] = results["samples"]["mine"]
        right = 0
        for row, sample in zip(rows, found[mesh], strict=True):
            logs = []
            for choice, (told,) in zip(sample["doc"]["choices"], sample["resps"], strict=True):
                context, whole = (tokenizer.encode(text).ids for text in (str(row["text"]), f"{row['text']}{choice}"))
                log, likeliest = sum_of_logs(network, whole, len(whole) - len(context))
                assert told == (pytest.approx(log, rel=1e-5), likeliest)
                logs.append(log)
            right += np.argmax(logs) == row["right"]
        assert results["results"]["mine"]["acc,none"] == pytest.approx(right / len(rows))
    for one, eight in zip(*found.values(), strict=True):
        assert one["acc"] == eight["acc"]
        for (log, likeliest), (same, too) in zip(
            (told for (told,) in one["resps"]), (told for (told,) in eight["resps"]), strict=True
        ):
            assert (log, likeliest) == (pytest.approx(same, rel=1e-5), too)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_whole_texts(name: str, request: pytest.FixtureRequest) -> None:
    """Each token once, behind as much of the text as there are positions."""
    from lm_eval.api.instance import Instance

    directory: Path = request.getfixturevalue(name)
    network, tokenizer = made(name, directory, "1x2"), read_tokenizer(directory)
    long, positions = "howmany" * 12, network.config.max_position_embeddings  # a token a letter
    texts = (long, "how many", "")
    found = harness_of(network, directory).loglikelihood_rolling(
        [Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(texts)]
    )
    end, tokens, short = tokenizer.get_vocab_size() - 1, tokenizer.encode(long).ids, tokenizer.encode("how many").ids
    rest = len(tokens) - positions
    assert 0 < rest < positions
    first, second = sum_of_logs(network, [end, *tokens[:positions]], positions), tokens[-positions - 1 :]
    assert found[0] == pytest.approx(first[0] + sum_of_logs(network, second, rest)[0], rel=1e-5)
    assert found[1] == pytest.approx(sum_of_logs(network, [end, *short], len(short))[0], rel=1e-5)
    assert found[2] == 0


def test_stops_and_settings(qwen2_5: Path) -> None:
    """What a task says of an answer's end, its length and of drawing it."""
    from lm_eval.api.instance import Instance

    harness = harness_of(made("qwen2_5", qwen2_5, "1x2"), qwen2_5)

    def asked(*pairs: tuple[str, dict[str, Any]]) -> list[str]:
        return harness.generate_until([Instance("generate_until", {}, pair, 0) for pair in pairs])

    contexts = ["Question: how many?", "", "t", "Answer:"]
    whole = asked(*((context, {}) for context in contexts))
    assert len({*whole}) == 4
    stop = whole[0][3:5]
    cut = asked(*((context, {"until": [stop, "never"], "max_gen_toks": 5}) for context in contexts))
    assert cut[0] == whole[0].partition(stop)[0]
    assert all(text and whole[at].startswith(text) and len(text) <= 10 for at, text in enumerate(cut))
    # Each its own settings, in one go, answers in the order of the requests.
    mixed = asked(("t", {"max_gen_toks": 2}), ("Answer:", {}), ("t", {"max_gen_toks": 2}), ("t", {}))
    assert mixed[1] == whole[3]
    assert mixed[3] == whole[2]
    assert mixed[0] == mixed[2] == read_tokenizer(qwen2_5).decode(harness.tok_encode(whole[2])[:2])
    drawn = asked(*[("t", {"do_sample": True, "temperature": 2.0})] * 3)
    assert len({*drawn}) > 1
    # Longer than the positions: what is farthest is left out.
    long = "y" * 90 + "Answer:"
    assert asked((long, {"max_gen_toks": 4})) == asked((long[-60:], {"max_gen_toks": 4}))
    messages = [{"role": "user", "content": "how?"}, {"role": "assistant", "content": "1+"}]
    assert harness.apply_chat_template(messages, add_generation_prompt=False) == "u:how?\na:1+"
    assert harness.loglikelihood([Instance("loglikelihood", {}, ("t", ""), 0)]) == [(0.0, True)]
