"""A language model of the zoo as lm-eval's model class. Imports lm-eval (extra ``eval``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import maybe_truncate, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from zoo.text.chat import chat_text
from zoo.text.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lm_eval.api.instance import Instance

    from zoo.evaluation.language_model import LanguageModel


class ZooLM(TemplateLM):  # type: ignore[misc] # lm-eval is installed only where models are evaluated
    """A model and the tokenizer of its checkpoint.

    stops: the tokens that end a text. prefix: the token before a text that is scored from its first token.
    new_tokens: the most tokens of a continuation if the task does not say.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Any,
        directory: Path,
        *,
        stops: Sequence[int],
        prefix: int,
        new_tokens: int = 256,
        progress: bool = True,
    ) -> None:
        super().__init__()
        self._model = model
        self._tokenizer = tokenizer
        self._directory = directory
        self._stops = tuple(stops)
        self._prefix = prefix
        self._new_tokens = new_tokens
        self._progress = progress

    @property
    def eot_token_id(self) -> int:
        """The first token that ends a text."""
        return self._stops[0] if self._stops else self._prefix

    @property
    def prefix_token_id(self) -> int:
        """The token before a text without context."""
        return self._prefix

    @property
    def max_length(self) -> int:
        """The model's positions."""
        return int(self._model.config.max_position_embeddings)

    @property
    def tokenizer_name(self) -> str:
        """Names the chat template in lm-eval's cache of requests."""
        return str(self._directory.resolve()).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """The tokens of a text, without special tokens unless `add_special_tokens`."""
        return list(self._tokenizer.encode(string, add_special_tokens=bool(add_special_tokens)).ids)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The messages as the checkpoint's chat template renders them.

        Without `add_generation_prompt` the last message is the beginning of an answer that the model continues.
        """
        text = chat_text(self._directory, chat_history, reply=add_generation_prompt)
        if add_generation_prompt:
            return text
        begun = chat_history[-1]["content"].rstrip()
        return text[: text.rindex(begun) + len(begun)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The continuation of each request's context, up to the first of its stop texts."""
        answers: dict[int, str] = {}
        with self._bar("continuing", len(requests), disable_tqdm) as bar:
            for number, (settings, members) in enumerate(_alike(request.args[1] for request in requests)):
                contexts = [requests[member].args[0] for member in members]
                for place, text in self._continued(contexts, settings, seed=number):
                    answers[members[place]] = text
                    self.cache_hook.add_partial("generate_until", requests[members[place]].args, text)
                    bar.update()
        return [answers[number] for number in range(len(requests))]

    def _continued(self, contexts: Sequence[str], settings: dict[str, Any], seed: int) -> Iterable[tuple[int, str]]:
        known = normalize_gen_kwargs(settings, self._new_tokens)
        until, new_tokens = [text for text in known["until"] if text], known["max_gen_toks"]
        prompts = []
        for context in contexts:
            tokens = self.tok_encode(context) or [self._prefix]
            prompts.append(maybe_truncate(tokens, new_tokens, self.max_length)[0])
        # A stop text that is a token does not appear in the decoded continuation.
        named = {self._tokenizer.token_to_id(text) for text in until} - {None}

        def ended(_: int, tokens: Sequence[int]) -> bool:
            text = self._tokenizer.decode(tokens)
            return any(stop in text for stop in until)

        for place, tokens in self._model.continued(
            prompts, new_tokens, ended=ended, stops={*self._stops, *named}, sampling=_sampling(known, seed)
        ):
            yield place, postprocess_generated_text(self._tokenizer.decode(tokens), until, None)

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], disable_tqdm: bool = False, **others: Any
    ) -> list[tuple[float, bool]]:
        """Logarithm of the probability of each continuation, and whether each of its tokens is the likeliest."""
        found = dict.fromkeys(range(len(requests)), (0.0, True))
        asked = [number for number, (_, _, continuation) in enumerate(requests) if continuation]
        texts = [(requests[number][1] + requests[number][2])[-(self.max_length + 1) :] for number in asked]
        with self._bar("scoring", len(texts), disable_tqdm) as bar:
            for place, logs, likeliest in self._model.scored(texts):
                pair, _, continuation = requests[asked[place]]
                count = len(continuation)
                answer = (float(logs[-count:].sum(dtype="float64")), bool(likeliest[-count:].all()))
                found[asked[place]] = answer
                if pair != ("", ""):  # a window of a longer text is not a request
                    self.cache_hook.add_partial("loglikelihood", pair, answer)
                bar.update()
        return [found[number] for number in range(len(requests))]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Logarithm of the probability of each whole text; long ones by windows of the model's positions."""
        windows: list[tuple[tuple[str, str], list[int], list[int]]] = []
        owners: list[int] = []
        for number, request in enumerate(requests):
            (text,) = request.args
            pairs = get_rolling_token_windows(
                self.tok_encode(text), prefix_token=self._prefix, max_seq_len=self.max_length, context_len=1
            )
            for pair in pairs:
                context, continuation = make_disjoint_window(pair)
                windows.append((("", ""), context, continuation))
                owners.append(number)
        totals = [0.0] * len(requests)
        for owner, (log, _) in zip(owners, self._loglikelihood_tokens(windows, disable_tqdm), strict=True):
            totals[owner] += log
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def _bar(self, what: str, total: int, hidden: bool) -> Any:
        return tqdm(total=total, desc=what, disable=hidden or not self._progress)


def _alike(settings: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], list[int]]]:
    """Each distinct settings, with the numbers of the requests that have them."""
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for number, wanted in enumerate(settings):
        groups.setdefault(repr(sorted(wanted.items())), (wanted, []))[1].append(number)
    return list(groups.values())


def _sampling(known: dict[str, Any], seed: int) -> Sampling | None:
    """How tokens are drawn; None for the likeliest. ValueError for invalid settings."""
    if not known["do_sample"] or not known.get("temperature"):
        return None
    return Sampling(temperature=known["temperature"], top_k=known.get("top_k"), top_p=known.get("top_p"), seed=seed)
