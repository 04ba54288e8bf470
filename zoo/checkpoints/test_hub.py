"""The hub's cache, with a stand-in for the hub on this machine that can break off and send what it did not announce."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from zoo.checkpoints.hub import check
from zoo.checkpoints.tensor_files import SINGLE, CheckpointError, TensorFiles, save_checkpoint
from zoo.preloaded import Preloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

REVISION = "0123456789abcdef0123456789abcdef01234567"

ROOT = Path(__file__).parents[2]

TENSORS = {f"tensor.{at}": np.full((200, 300), at, np.float32) for at in range(4)}


@dataclass
class Hub:
    """What the stand-in serves and how: `break_at` cuts files short, `corrupt` changes a byte of them.

    The first requests get no answer (`silent`), and the next ones 503 (`overloaded`). `stall`: what was cut off does
    not come, and the connection stays; `sent` tells that it has come so far.
    """

    root: Path
    url: str = ""
    break_at: float = 1.0
    corrupt: bool = False
    silent: int = 0
    overloaded: int = 0
    stall: bool = False
    sent: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)


def handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            if hub.silent:
                hub.silent -= 1
                hub.stop.wait()
                return
            if hub.overloaded:
                hub.overloaded -= 1
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, _ = self.path.partition("?")
            if path.startswith("/api/"):
                self.tell(path)
                return
            repo, _, rest = path.partition("/resolve/")
            revision, _, name = rest.partition("/")
            stored = hub.root / name
            if repo != "/made/up" or revision != REVISION:
                self.fail("RepoNotFound")
            elif not stored.is_file():
                self.fail("EntryNotFound")
            else:
                self.send(stored.read_bytes(), body=body)

        def tell(self, path: str) -> None:
            """What the repository has, and at which commit."""
            entries = [
                {"type": "file", "path": stored.name, "size": stored.stat().st_size, "oid": "0" * 40}
                for stored in sorted(hub.root.iterdir())
            ]
            known = {
                f"/api/models/made/up/tree/{REVISION}": entries,
                f"/api/models/made/up/revision/{REVISION}": {"id": "made/up", "sha": REVISION, "siblings": []},
            }
            if path not in known:
                self.fail("RepoNotFound")
                return
            content = json.dumps(known[path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def fail(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send(self, content: bytes, *, body: bool) -> None:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if hub.corrupt:
                content = content[:-1] + bytes([content[-1] ^ 1])
            if body:
                self.wfile.write(content[start : int(hub.break_at * len(content))])
                if hub.stall:
                    hub.sent.set()
                    hub.stop.wait()

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    hub = Hub(root)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


# The hub's library reads its settings once, when it is imported: hence other processes. They are forked from one that
# has imported what the library imports, at first and when it fetches, which takes most of its time.
IMPORTED = """
import os
import sys
os.environ["HF_HUB_OFFLINE"] = "1"
from zoo.checkpoints.hub import Source, fetch
from zoo.checkpoints.tensor_files import CheckpointError
try:
    fetch(Source("nobody/nothing", "0" * 40))
except CheckpointError:
    pass
for name in [name for name in sys.modules if name == fetch.__module__ or name.startswith("huggingface_hub")]:
    del sys.modules[name]
del fetch
"""

FETCH = """
import os
import socket
import sys
import time
time.sleep = lambda seconds: None  # between attempts
connect, tries = socket.create_connection, []
socket.create_connection = lambda *args, **settings: tries.append(args) or connect(*args, **settings)
if "PATIENCE" in os.environ:
    import huggingface_hub.constants
    huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT = float(os.environ["PATIENCE"])
import zoo.checkpoints.hub
zoo.checkpoints.hub.CONNECT_S = float(os.environ.get("CONNECT", zoo.checkpoints.hub.CONNECT_S))
from zoo.checkpoints.hub import fetch
from zoo.checkpoints.hub import Source
from zoo.checkpoints.tensor_files import CheckpointError
try:
    print(fetch(Source(sys.argv[1], sys.argv[2])))
except CheckpointError as error:
    print(error, file=sys.stderr)
    print(len(tries))
    raise SystemExit(3)
"""


PRELOADED = Preloaded(IMPORTED, ROOT)


@pytest.fixture(scope="module", autouse=True)
def preloaded_ends() -> Iterator[None]:
    yield
    PRELOADED.close()


def settings(hub: Hub, cache: Path, **more: str) -> dict[str, str]:
    """The environment of a process that fetches."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    found |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    return {**found, **more}


def fetch(
    hub: Hub, cache: Path, *, repo: str = "made/up", offline: bool = False, connections: int | None = None, **more: str
) -> tuple[str, str]:
    """Directory and error text, one of them empty: one line; with the `connections` made until then."""
    environment = settings(hub, cache, **more, **({"HF_HUB_OFFLINE": "1"} if offline else {}))
    done = PRELOADED.run(FETCH, repo, REVISION, folder=ROOT, environment=environment)
    assert done.returncode in (0, 3), done.stderr
    if done.returncode == 0:
        return done.stdout.strip(), done.stderr.strip()
    (line,) = done.stderr.splitlines()
    if connections is not None:
        assert int(done.stdout) == connections
    return "", line


def assert_whole(directory: str) -> None:
    files = TensorFiles(Path(directory))
    assert list(files) == list(TENSORS)
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(files[name].read(), tensor)


@pytest.mark.parametrize("shards", [1, 3])
def test_fetched_once_and_then_from_the_cache(tmp_path: Path, shards: int) -> None:
    save_checkpoint(tmp_path / "repo", TENSORS.items(), shards=shards, config={"model_type": "made up"})
    (tmp_path / "repo" / "pytorch_model.bin").write_bytes(b"not wanted")
    with serving(tmp_path / "repo") as hub:
        directory, _ = fetch(hub, tmp_path / "cache")
        assert_whole(directory)
        assert json.loads(Path(directory, "config.json").read_text()) == {"model_type": "made up"}
        assert not any("pytorch_model" in request for request in hub.requests)
        hub.requests.clear()
        assert fetch(hub, tmp_path / "cache") == (directory, "")
        assert hub.requests == []
    assert fetch(hub, tmp_path / "cache", offline=True) == (directory, "")
    assert fetch(hub, tmp_path / "cache") == (directory, "")  # the hub is gone, the cache is not


def test_offline_with_an_empty_cache(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "repo", TENSORS.items())
    with serving(tmp_path / "repo") as hub:
        _, error = fetch(hub, tmp_path / "cache", offline=True)
        assert hub.requests == []
    assert error.startswith(f"made/up at {REVISION}: {SINGLE} or ")
    assert "not in the cache and HF_HUB_OFFLINE is set" in error
    _, error = fetch(hub, tmp_path / "cache")
    assert "the hub cannot be reached" in error


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "http://no-such-host.invalid:{port}"])
def test_hub_that_takes_no_connection(url: str, tmp_path: Path) -> None:
    """It is tried once, and one line says what to do."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else gets it
        hub = Hub(tmp_path, url=url.format(port=closed.getsockname()[1]))
        _, error = fetch(hub, tmp_path / "cache", connections=1)
    what = f"{SINGLE} or {SINGLE}.index.json"
    assert error.startswith(f"made/up at {REVISION}: {what} is not in the cache and the hub cannot be reached (")
    assert "(ConnectError: " in error
    for remedy in ("check the network or the proxy", "--checkpoint DIR", "HF_HUB_OFFLINE=1"):
        assert remedy in error


def test_hub_that_does_not_take_a_connection_in_time(tmp_path: Path) -> None:
    """As behind a firewall that drops packets: here the queue of connections is full."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        hub = Hub(tmp_path, url=f"http://127.0.0.1:{full.getsockname()[1]}")
        _, error = fetch(hub, tmp_path / "cache", CONNECT="0.3")
    assert "the hub cannot be reached (TimeoutError: no connection within 0.3 s): check the network" in error


def test_hub_that_says_nothing(tmp_path: Path) -> None:
    """A slow one is asked again, and waited for longer."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hub = Hub(tmp_path, url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        _, error = fetch(hub, tmp_path / "cache", connections=3, PATIENCE="0.05")
    assert "the hub cannot be reached (ReadTimeout: " in error
    assert "; asked 3 times, the last for 0.2 s: HF_HUB_ETAG_TIMEOUT sets the first)" in error


def test_hub_that_is_slow_or_overloaded_at_first(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "repo", TENSORS.items())
    with serving(tmp_path / "repo") as hub:
        hub.silent = 2  # requests
        directory, _ = fetch(hub, tmp_path / "cache", PATIENCE="0.5")
        assert_whole(directory)
        hub.overloaded = 3
        directory, _ = fetch(hub, tmp_path / "another cache")
        assert_whole(directory)
        assert hub.overloaded == hub.silent == 0


def test_no_such_repository_and_no_safetensors_in_it(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    with serving(tmp_path / "repo") as hub:
        _, error = fetch(hub, tmp_path / "cache", repo="made/wrong")
        what = "config.json or a file beside it"
        assert error.startswith(f"made/wrong at {REVISION}: {what} was not downloaded (RepositoryNotFound")
        _, error = fetch(hub, tmp_path / "cache")
        assert f"{SINGLE} or {SINGLE}.index.json: the repository has no such file" in error


@pytest.mark.parametrize("shards", [1, 3])
def test_interrupted_download(tmp_path: Path, shards: int) -> None:
    """One line, nothing broken in the cache, and the next attempt is good."""
    save_checkpoint(tmp_path / "repo", TENSORS.items(), shards=shards)
    with serving(tmp_path / "repo") as hub:
        hub.break_at = 0.6
        directory, error = fetch(hub, tmp_path / "cache")
        assert directory == ""
        assert "was not downloaded (" in error
        assert "the cache is as it was: try again" in error
        assert not list((tmp_path / "cache").rglob("snapshots/**/*.safetensors"))
        hub.break_at = 1.0
        directory, _ = fetch(hub, tmp_path / "cache")
        assert_whole(directory)


def test_ctrl_c_during_a_download(tmp_path: Path) -> None:
    """It ends there and then, though the rest of the file does not come."""
    save_checkpoint(tmp_path / "repo", TENSORS.items())
    cache = tmp_path / "cache"
    with serving(tmp_path / "repo") as hub:
        hub.stall, hub.break_at = True, 0.6
        command = [sys.executable, "-c", FETCH, "made/up", REVISION]
        environment = settings(hub, cache)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
            assert hub.sent.wait(60)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGINT
        assert "KeyboardInterrupt" in told
        assert not list(cache.rglob("snapshots/**/*.safetensors"))
        hub.stall, hub.break_at = False, 1.0
        assert_whole(fetch(hub, cache)[0])


@pytest.mark.parametrize("announced", ["right", "wrong"])
def test_file_that_repositories_share(tmp_path: Path, announced: str) -> None:
    """The library links the name that the hub announced to a store, where the file's name is another hash."""
    content = b"weights"
    name = hashlib.sha256(content if announced == "right" else b"others").hexdigest()
    store, blob, path = tmp_path / "blobs" / ("7" * 64), tmp_path / "repo" / "blobs" / name, tmp_path / "repo" / SINGLE
    for folder in (store.parent, blob.parent):
        folder.mkdir(parents=True)
    store.write_bytes(content)
    blob.symlink_to(Path("../..", "blobs", store.name))
    path.symlink_to(Path("blobs", name))
    if announced == "right":
        check(path, "it")
        assert path.read_bytes() == content
    else:
        with pytest.raises(CheckpointError, match=rf"it: SHA-256 {hashlib.sha256(content).hexdigest()} is not the"):
            check(path, "it")
        assert not any(os.path.lexists(gone) for gone in (store, blob, path))


def test_what_came_is_not_what_was_announced(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "repo", TENSORS.items())
    with serving(tmp_path / "repo") as hub:
        hub.corrupt = True
        directory, error = fetch(hub, tmp_path / "cache")
        assert directory == ""
        assert f"{SINGLE}: SHA-256 " in error
        assert "taken out of the cache: try again" in error
        hub.corrupt = False
        directory, _ = fetch(hub, tmp_path / "cache")
        assert_whole(directory)


def test_extras_that_the_repository_has(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "repo", TENSORS.items(), config={})
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "preprocessor_config.json", "README.md"):
        (tmp_path / "repo" / name).write_text(f"this is {name}")
    with serving(tmp_path / "repo") as hub:
        directory, _ = fetch(hub, tmp_path / "cache")
        for name in ("README.md", "generation_config.json", "vocab.txt"):
            assert not any(name in request for request in hub.requests)
        hub.requests.clear()
        assert fetch(hub, tmp_path / "cache") == (directory, "")
        assert hub.requests == []  # what the repository has not is remembered too
    names = {path.name for path in Path(directory).iterdir()}
    assert names == {"config.json", SINGLE, "merges.txt", "preprocessor_config.json", "tokenizer.json", "vocab.json"}
    assert Path(directory, "tokenizer.json").read_text() == "this is tokenizer.json"
    assert fetch(hub, tmp_path / "cache", offline=True) == (directory, "")


def test_cache_without_extras(tmp_path: Path) -> None:
    """As one that other programs filled, which asked for the weights alone: good offline, completed on line."""
    save_checkpoint(tmp_path / "repo", TENSORS.items())
    (tmp_path / "repo" / "vocab.txt").write_text("words")
    with serving(tmp_path / "repo") as hub:
        directory, _ = fetch(hub, tmp_path / "cache")
        snapshot = Path(directory)
        (snapshot / "vocab.txt").unlink()
        (snapshot.parents[1] / "trees" / f"{REVISION}.json").unlink()  # what the repository has
        assert fetch(hub, tmp_path / "cache", offline=True) == (directory, "")
        assert not (snapshot / "vocab.txt").exists()
    assert fetch(hub, tmp_path / "cache") == (directory, "")  # the hub is gone
    with serving(tmp_path / "repo") as hub:
        hub.overloaded = 1000
        assert fetch(hub, tmp_path / "cache") == (directory, "")
        hub.overloaded = 0
        assert fetch(hub, tmp_path / "cache") == (directory, "")
        assert (snapshot / "vocab.txt").read_text() == "words"
