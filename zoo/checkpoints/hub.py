"""Checkpoints of the Hugging Face hub, in its cache: at a pinned commit, whole, and only what is needed."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.tensor_files import INDEX, SINGLE, CheckpointError, shards_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CONFIG = "config.json"

CONNECT_S = 3.0
"""Seconds until a hub that does not take a connection counts as out of reach."""

TRIES = 3
"""How often the first request is made of a hub that takes connections and does not answer, each twice as patient."""

EXTRAS = (
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""What turns text and images into inputs and outputs into text; a repository has some of them."""

BESIDE = (CONFIG, INDEX, *EXTRAS)
"""All that is fetched but the weights."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where published weights are: a repository on the Hugging Face hub, at a pinned commit."""

    repo: str
    revision: str


class UnreachableError(CheckpointError):
    """A file is not in the cache and the hub cannot be asked for it."""


def fetch(source: Source) -> Path:
    """The directory in the hub's cache with the checkpoint `source`: config.json, its safetensors files, and `EXTRAS`.

    What is not in the cache yet is downloaded, unless HF_HUB_OFFLINE says not to. CheckpointError if that fails, or if
    what came is not what the hub announced: then it is taken out of the cache again. Extras that the cache lacks while
    the hub is out of reach are not errors.
    """
    fetching = _Fetching(source)
    with _quiet(source):
        _beside(fetching)
        return _weights(fetching)


@dataclass(slots=True)
class _Fetching:
    """A source that is being fetched."""

    source: Source
    reached: bool = False
    """Whether the hub has answered: from then on its library may try again as often as it wants."""
    out_of_reach: UnreachableError | None = None
    """Why the hub is not asked any more."""


@contextmanager
def _quiet(source: Source) -> Iterator[None]:
    """Without the hub library's lines about each attempt: what becomes of them is said in one. Unless the user asks."""
    try:
        from huggingface_hub import logging
    except ImportError as error:
        raise CheckpointError(
            f"{source.repo}: huggingface_hub is not installed ({error}): pip install 'pytest-tt[zoo]', "
            "or name a directory with the checkpoint"
        ) from error
    before = logging.get_verbosity()
    if not os.environ.get("HF_HUB_VERBOSITY"):
        logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _beside(fetching: _Fetching) -> None:
    """Bring what is `BESIDE` the weights into the cache, as far as the repository has it; a hub out of reach is noted.

    One listing tells which of these many small files there are, and the cache remembers it.
    """
    from huggingface_hub import get_cached_repo_tree, is_offline_mode, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    source = fetching.source
    snapshot = partial(
        snapshot_download,
        source.repo,
        revision=source.revision,
        allow_patterns=list(BESIDE),
        tqdm_class=_bars(disable=True),
    )
    try:
        get_cached_repo_tree(source.repo, revision=source.revision)
        snapshot(local_files_only=True)
        return
    except (CachedRepoTreeNotFoundError, LocalEntryNotFoundError):
        if is_offline_mode():
            return
    what = f"{source.repo} at {source.revision}: {CONFIG} or a file beside it"
    before = _cached(source, BESIDE)
    try:
        _reach(fetching)
        snapshot()
    except UnreachableError:
        return
    except Exception as error:  # errors of the transport have no public base class
        if not _no_hub(error):
            raise _failed(what, error) from error
        fetching.out_of_reach = UnreachableError(_why_not(error))
        fetching.out_of_reach.__cause__ = error
    finally:
        for name, path in _cached(source, BESIDE).items():
            if name not in before:
                check(path, f"{source.repo} at {source.revision}: {name}")


def _cached(source: Source, names: Iterable[str]) -> dict[str, Path]:
    """Those of `names` that the cache has, and where."""
    from huggingface_hub import try_to_load_from_cache

    found = {name: try_to_load_from_cache(source.repo, name, revision=source.revision) for name in names}
    return {name: Path(path) for name, path in found.items() if isinstance(path, str)}


def _weights(fetching: _Fetching) -> Path:
    """The directory with the weights, which are downloaded one file at a time.

    Not by snapshot_download: Ctrl-C does not reach its threads, which first finish the gigabytes that they have begun.
    And each file is checked when it has come, whatever becomes of the next one.
    """
    single = _file(fetching, SINGLE, required=False)
    if single is not None:
        return single.parent
    index = _file(fetching, INDEX)
    assert index is not None
    for name in sorted(set(shards_of(index).values())):
        _file(fetching, name)
    return index.parent


def _bars(**settings: Any) -> Any:
    """The class of the hub library's bars with `settings` for each of them; by default they stay on the terminal."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # whose types are not looked at
        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **{**given, **settings})

    return Bar


def _reach(fetching: _Fetching) -> None:
    """Ask the hub what the repository has, to know whether it is there at all. UnreachableError if it is not.

    One that takes no connection is not asked again: without a network, the library's own attempts take half a minute;
    and it has no time limit for this question, which is its first too.
    """
    from huggingface_hub import is_offline_mode

    if fetching.out_of_reach is not None:
        raise fetching.out_of_reach
    if fetching.reached or is_offline_mode():
        return
    try:
        _ask_patiently(fetching.source)
    except UnreachableError as error:
        fetching.out_of_reach = error
        raise
    fetching.reached = True


def _ask_patiently(source: Source) -> None:
    """UnreachableError unless the hub answers, whatever it says: its library knows what to make of that."""
    from huggingface_hub import constants, get_session

    url = f"{constants.ENDPOINT}/api/models/{source.repo}/tree/{source.revision}"
    patience: float = constants.HF_HUB_ETAG_TIMEOUT
    for attempt in range(1, TRIES + 1):
        get_session()  # made beforehand: what it reads takes longer than a connection
        try:
            _connected(partial(_ask, url, patience))
        except Exception as error:  # errors of the transport have no public base class
            kind = type(error).__name__
            if kind in _NO_CONNECTION:
                raise UnreachableError(_unreachable(error)) from error
            if kind in _NO_ANSWER:
                if attempt == TRIES:
                    told = f"; asked {TRIES} times, the last for {patience:g} s: HF_HUB_ETAG_TIMEOUT sets the first"
                    raise UnreachableError(_unreachable(error, told)) from error
                patience *= 2
                continue
        return


def _ask(url: str, patience: float, trace: Callable[..., None]) -> None:
    """An overloaded hub is asked again: not by the library's own question before huggingface_hub 2."""
    from huggingface_hub.utils import http_backoff

    http_backoff("GET", url, retry_on_exceptions=(), timeout=patience, extensions={"trace": trace})


def _connected(request: Callable[[Callable[..., None]], Any]) -> None:
    """Make a request, and wait for it once it has a connection; TimeoutError if it has none within `CONNECT_S`.

    The transport's own limit is for each address of a host that has many, and not for finding them. `request` gets what
    it shall call with the name of each of its steps.
    """
    connected, ended = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def trace(step: str, details: Any) -> None:
        if not step.endswith("connect_tcp.started"):
            connected.set()

    def run() -> None:
        try:
            request(trace)
        except Exception as error:
            errors.append(error)
        finally:
            connected.set()
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    if not connected.wait(CONNECT_S):
        raise TimeoutError(f"no connection within {CONNECT_S:g} s")
    ended.wait()
    if errors:
        raise errors[0]


_NO_CONNECTION = ("ConnectError", "ConnectTimeout", "ProxyError", "TimeoutError", "UnsupportedProtocol")
_NO_ANSWER = ("ReadTimeout", "WriteTimeout", "PoolTimeout")
"""What httpx calls its errors, of which huggingface_hub has two editions."""


def _no_hub(error: Exception) -> bool:
    """Whether the hub's library fails because the hub is not there or overloaded, and not by what it answered."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    status = getattr(getattr(error, "response", None), "status_code", 0)
    gone = type(error).__name__ in (*_NO_CONNECTION, *_NO_ANSWER)
    return isinstance(error, LocalEntryNotFoundError) or gone or status >= 500


def _unreachable(error: Exception, more: str = "") -> str:
    return (
        f"the hub cannot be reached ({_line(error)}{more}): check the network or the proxy, or name a directory with "
        "the checkpoint (--checkpoint DIR); HF_HUB_OFFLINE=1 takes what is in the cache and asks nobody"
    )


def _file(fetching: _Fetching, name: str, *, required: bool = True) -> Path | None:
    """Where the cache has a file of the source; None if the repository has none and it is not `required`.

    UnreachableError if it is not in the cache and the hub is out of reach, CheckpointError for all else that fails.
    """
    from huggingface_hub import hf_hub_download, is_offline_mode, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    source = fetching.source
    cached = try_to_load_from_cache(source.repo, name, revision=source.revision)
    if isinstance(cached, str):
        return Path(cached)
    if not required and (cached is not None or is_offline_mode()):
        return None  # the hub has said before that there is none, or cannot be asked
    what = f"{source.repo} at {source.revision}: {name}"
    either = f"{source.repo} at {source.revision}: {SINGLE} or {INDEX}" if name in (SINGLE, INDEX) else what
    try:
        _reach(fetching)
        bars = _bars(leave=False)
        path = Path(hf_hub_download(source.repo, name, revision=source.revision, tqdm_class=bars))
    except UnreachableError as error:
        raise UnreachableError(f"{either} is not in the cache and {error}") from error.__cause__
    except LocalEntryNotFoundError as error:
        raise UnreachableError(f"{either} is not in the cache and {_why_not(error)}") from error
    except EntryNotFoundError as error:
        if not required:
            return None
        raise CheckpointError(f"{either}: the repository has no such file; only safetensors are read") from error
    except Exception as error:  # errors of the transport have no public base class
        raise _failed(what, error) from error
    check(path, what)
    return path


def _failed(what: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{what} was not downloaded ({_line(error)}); the cache is as it was: try again, or name a directory "
        "with the checkpoint"
    )


def _why_not(error: Exception) -> str:
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        return "HF_HUB_OFFLINE is set: unset it, or name a directory with the checkpoint (--checkpoint DIR)"
    cause = error.__cause__
    return _unreachable(cause if isinstance(cause, Exception) else error)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def check(path: Path, what: str) -> None:
    """Refuse a fresh file of the cache whose SHA-256 is not the one that the hub announced: large files are named so.

    CheckpointError; `what` is its beginning. The file is taken out of the cache.
    """
    if not path.is_symlink():
        return
    blob = path.parent / path.readlink()  # a link too, where several repositories share the file under another name
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != blob.name:
        for stored in (path.resolve(), blob, path):
            stored.unlink(missing_ok=True)
        raise CheckpointError(
            f"{what}: SHA-256 {found} is not the announced {blob.name}; it was taken out of the cache: try again"
        )
