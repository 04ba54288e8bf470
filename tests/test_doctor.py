"""The doctor: each thing that keeps tests from running on chips is found, on made-up machines, without opening one."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from device_tree import bdf, make_healthy, make_system, make_tree, set_holders

from pytest_tt.ci.doctor import emulation, machine, opening, software, users
from pytest_tt.ci.doctor.diagnosis import BLOCKS, OK, WARNING, ok
from pytest_tt.cli import main
from pytest_tt.targets import provider
from pytest_tt.targets.detection import ROOT_VARIABLE, DetectedSystem, detect
from pytest_tt.targets.lock import ChipLock
from pytest_tt.tt_compiler.build import Build, CompilerMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_tt.ci.doctor.diagnosis import Diagnosis

FAKE_PLUGIN = Path(__file__).parent / "fake_plugin"


def healthy(root: Path, system: str = "n300", firmware: str = "19.2.0.0") -> Path:
    return make_healthy(root, system, firmware)


def look(root: Path, visible: str | None = None) -> list[Diagnosis]:
    """All findings about the machine below `root`."""
    box, found = machine.look_at_chips(root, visible)
    rest = (machine.look_at_driver(root), machine.look_at_memory(root, box))
    found += [each for each in rest if each is not None]
    return found + machine.look_at_firmware(root, box) + users.look_at_users(root, box)


def bad(findings: Iterable[Diagnosis]) -> list[Diagnosis]:
    found = [finding for finding in findings if finding.severity != OK]
    for finding in found:
        assert finding.why, finding
        assert finding.do, finding
    return found


def only(findings: Iterable[Diagnosis], check: str, severity: str, what: str, do: str = "") -> None:
    """The one finding that is not ok is this."""
    (found,) = bad(findings)
    assert (found.check, found.severity) == (check, severity)
    assert what in found.what, found
    assert do in found.do, found


@pytest.mark.parametrize("system", ["n150", "n300", "t3k", "qb2", "lb-blackhole"])
def test_a_healthy_machine(system: str, tmp_path: Path) -> None:
    found = look(healthy(tmp_path, system))
    assert [finding.check for finding in found] == ["chips", "driver", "hugepages", "firmware", "users"]
    assert bad(found) == []


def test_no_card(tmp_path: Path) -> None:
    only(look(tmp_path), "chips", BLOCKS, "no card: no device node in /dev/tenstorrent, and none", "--tt-backend sim")


def test_a_card_without_driver(tmp_path: Path) -> None:
    root = healthy(tmp_path)
    (root / "dev/tenstorrent").rename(root / "gone")
    only(look(root), "chips", BLOCKS, "1 Tenstorrent device on the PCI bus, but no device node", "--device /dev/tenst")
    (root / "sys/module/tenstorrent/version").unlink()
    (root / "sys/module/tenstorrent").rmdir()
    only(look(root), "chips", BLOCKS, "1 Tenstorrent device on the PCI bus, but no device node", "modprobe tenstorrent")


def test_hidden_chips(tmp_path: Path) -> None:
    root = healthy(tmp_path, "t3k")
    only(look(root, ""), "chips", BLOCKS, "no card, 0 of 4 devices by TT_VISIBLE_DEVICES= left", "unset TT_VISIBLE_DEV")
    only(look(root, "7"), "chips", BLOCKS, "TT_VISIBLE_DEVICES=7: '7' names no device: expected an index 0 to 3", "fix")
    assert bad(look(root, "1,2")) == []


def test_fewer_chips_than_there_should_be(tmp_path: Path) -> None:
    root = healthy(tmp_path / "a", "t3k")
    (root / "dev/tenstorrent/3").unlink()
    only(look(root), "chips", WARNING, "3 of the 4 Tenstorrent devices on the PCI bus have a node in /dev/tenstorrent")
    three = make_tree(tmp_path / "b", ["n300"] * 3)
    found = machine.look_at_chips(three, None)[1]
    only(found, "chips", WARNING, "3 x n300 (6 chips) is not a box that `pytest-tt systems` knows", "tt-smi -r")
    unknown = make_tree(tmp_path / "c", [None], arch="blackhole")
    found = machine.look_at_chips(unknown, None)[1]
    only(found, "chips", WARNING, "the driver does not tell the card's type", "update tt-kmd")


def test_a_node_that_must_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = healthy(tmp_path)
    (root / "dev/tenstorrent/0").chmod(0o000)
    if os.access(root / "dev/tenstorrent/0", os.R_OK):  # root may open everything
        mode = (root / "dev/tenstorrent/0").stat().st_mode
        monkeypatch.setattr(machine.os, "access", lambda path, how: Path(path).stat().st_mode != mode)
    only(look(root), "chips", BLOCKS, "/dev/tenstorrent/0 cannot be opened by this user", "udev")


@pytest.mark.parametrize(
    ("version", "severity", "what"),
    [
        ("1.34", BLOCKS, "tt-kmd 1.34 is too old"),
        ("2.0.0", OK, "tt-kmd 2.0.0"),
        ("2.10.0-rc1", OK, "tt-kmd 2.10.0-rc1"),
        ("main", WARNING, "tt-kmd has the version 'main'"),
        (None, WARNING, "the version of tt-kmd is not in /sys/module/tenstorrent/version"),
    ],
)
def test_driver(version: str | None, severity: str, what: str, tmp_path: Path) -> None:
    root = healthy(tmp_path)
    path = root / "sys/module/tenstorrent/version"
    path.unlink() if version is None else path.write_text(f"{version}\n")
    finding = machine.look_at_driver(root)
    assert finding is not None
    assert (finding.severity, finding.what) == (severity, what)
    bad([finding])


@pytest.mark.parametrize(
    ("system", "firmware", "what"),
    [
        ("n300", "18.2.0.0", "firmware bundle 18.2.0 is too old"),
        ("n300", "80.17.0.0", "firmware bundle 80.17.0 is too old"),
        ("p150", "18.4.9.0", "firmware bundle 18.4.9 is too old"),
        ("n300", "18.3.0.0", None),
        ("p150", "18.5.0.0", None),
    ],
)
def test_firmware(system: str, firmware: str, what: str | None, tmp_path: Path) -> None:
    found = look(healthy(tmp_path, system, firmware))
    if what is None:
        assert bad(found) == []
    else:
        only(found, "firmware", BLOCKS, what, "tt-flash")


def test_firmware_that_differs_or_is_not_told(tmp_path: Path) -> None:
    root = healthy(tmp_path, "t3k")
    version = root / "sys/class/tenstorrent/tenstorrent!2/tt_fw_bundle_ver"
    version.write_text("19.9.0.0\n")
    only(look(root), "firmware", BLOCKS, "different firmware bundles: 19.2.0 on /dev/tenstorrent/0, ", "one bundle")
    version.unlink()
    only(look(root), "firmware", WARNING, "the driver does not tell the firmware of /dev/tenstorrent/2", "tt-smi")
    new = healthy(tmp_path / "new", "n150", "20.1.0.0")
    newer = machine.look_at_firmware(new, detect(new))
    assert [finding.what for finding in newer] == [
        "bundle 20.1.0, newer than 19.7.1, the last that tt-umd was tested with"
    ]


def test_huge_pages(tmp_path: Path) -> None:
    root = healthy(tmp_path, "t3k")
    pages, mounts = root / "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", root / "proc/mounts"
    mounted = mounts.read_text()
    pages.write_text("3\n")
    only(look(root), "hugepages", BLOCKS, "3 pages of 1 GiB are reserved", "hugepages-setup")
    pages.unlink()
    only(look(root), "hugepages", BLOCKS, "no pages of 1 GiB are reserved", "hugepages-setup")
    pages.write_text("4\n")
    assert bad(look(root)) == []
    for text in ("", mounted.replace("1024M", "2M"), mounted.replace("-1G", "")):
        mounts.write_text(text)
        only(
            look(root), "hugepages", BLOCKS, "/dev/hugepages-1G is not mounted", "-v /dev/hugepages-1G:/dev/hugepages-"
        )
    # Behind an IOMMU, for every device, none are needed.
    for place in range(4):
        group = root / f"sys/devices/pci0000:00/{bdf(place)}/iommu_group"
        group.mkdir()
        (group / "type").write_text("DMA-FQ\n")
    assert bad(look(root)) == []
    (group / "type").write_text("identity\n")
    assert [finding.check for finding in bad(look(root))] == ["hugepages"]


def test_a_process_that_has_the_chips(tmp_path: Path) -> None:
    root = healthy(tmp_path, "t3k")
    set_holders(root, 1, [os.getpid(), os.getppid()])
    set_holders(root, 2, [os.getppid()])
    only(look(root), "users", BLOCKS, f"process {os.getppid()} (", f"wait for it, or end it (kill {os.getppid()})")
    assert "has /dev/tenstorrent/1, /dev/tenstorrent/2 open" in bad(look(root))[0].what
    assert bad(look(root, "0")) == []


def test_another_run(tmp_path: Path) -> None:
    root = healthy(tmp_path, "t3k")
    with ChipLock(detect(root), timeout_s=0, root=root, say=print):
        only(
            look(root), "lock", BLOCKS, f"another run has the chips: /dev/tenstorrent/0 is held by pid {os.getpid()} ("
        )
    assert bad(look(root)) == []


def test_a_lock_that_a_child_inherited(tmp_path: Path) -> None:
    """The run is gone; what it started still has the lock, so that nobody gets the chips."""
    root = healthy(tmp_path)
    with ChipLock(detect(root), timeout_s=0, root=root, say=print):
        pass
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    path = next((root / "tmp").glob("*.lock"))
    facts = {"pid": int(gone.stdout), "user": "u", "command": "pytest", "since": "then"}
    path.write_text(json.dumps(facts))
    assert bad(look(root)) == [], "text alone is not a lock"
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        command = [sys.executable, "-c", "input()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(file.fileno(),)) as child:
            what = f"(pid {gone.stdout.strip()}) is gone, but {child.pid} ("
            only(look(root), "lock", BLOCKS, what, f"kill {child.pid}")
            child.communicate(b"\n")


def test_a_lock_file_that_is_none(tmp_path: Path) -> None:
    root = healthy(tmp_path)
    path = root / "tmp" / f"pytest-tt-{bdf(0).replace(':', '-')}.lock"
    path.symlink_to("/nowhere")
    only(look(root), "lock", BLOCKS, "cannot be opened (Too many levels of symbolic links)", "remove it")
    path.unlink()
    path.mkdir()
    only(look(root), "lock", BLOCKS, "cannot be opened (not a regular file)", f"sudo rm -r {path}")


def test_a_stale_lock_of_the_library(tmp_path: Path) -> None:
    root = healthy(tmp_path)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    pid = int(gone.stdout)
    path = root / "dev/shm/TT_UMD_LOCK.CHIP_IN_USE_0_PCIe"
    path.parent.mkdir()

    def write(word: int, owner: int, mark: int = 0x5454554D444D5458) -> None:
        path.write_bytes(struct.pack("=I36xQii", word, mark, owner, owner))

    write(pid, pid)
    only(
        look(root), "lock", BLOCKS, f"by /dev/shm/TT_UMD_LOCK.CHIP_IN_USE_0_PCIe process {pid} uses", "rm /dev/shm/TT_"
    )
    for word, owner in ((0, 0), (os.getpid(), os.getpid()), (pid | 0x40000000, pid)):
        write(word, owner)
        assert bad(look(root)) == [], (word, owner)
    write(pid, pid, mark=1)
    assert bad(look(root)) == []
    path.write_bytes(b"short")
    assert bad(look(root)) == []


def test_variables_that_choose_chips(tmp_path: Path) -> None:
    def said(environ: dict[str, str], root: Path) -> list[tuple[str, str]]:
        box = detect(root, environ.get("TT_VISIBLE_DEVICES"))
        return [(finding.check, finding.severity) for finding in bad(machine.look_at_environment(environ, box))]

    t3k = make_system(tmp_path / "t3k", "t3k")
    assert said({"TT_VISIBLE_DEVICES": "1"}, t3k) == []
    bare = make_tree(tmp_path / "bare", ["n300", "n300"], sysfs=False)
    assert said({"TT_VISIBLE_DEVICES": "1"}, bare) == [("TT_VISIBLE_DEVICES", BLOCKS)]
    assert said({"TT_VISIBLE_DEVICES": "0"}, bare) == []
    galaxy = make_system(tmp_path / "galaxy", "galaxy")
    assert said({"TT_VISIBLE_DEVICES": "0,1"}, galaxy) == [("TT_VISIBLE_DEVICES", WARNING)]
    part = {"TT_VISIBLE_DEVICES": "0,1", "TT_MESH_GRAPH_DESC_PATH": str(tmp_path / "graph")}
    assert said(part, galaxy) == [("TT_MESH_GRAPH_DESC_PATH", BLOCKS)]
    (tmp_path / "graph").touch()
    assert said(part, galaxy) == []


@pytest.mark.parametrize(
    ("environ", "check", "severity", "what"),
    [
        (
            {"JAX_PLATFORMS": "cpu,tenstorrent"},
            "JAX_PLATFORMS",
            BLOCKS,
            "'tenstorrent' is not a platform that is installed",
        ),
        ({"JAX_PLATFORMS": "cpu"}, "JAX_PLATFORMS", WARNING, "leaves out tt"),
        ({"TT_COMPILE_ONLY_SYSTEM_DESC": "a.ttsys"}, "TT_COMPILE_ONLY_SYSTEM_DESC", BLOCKS, "=a.ttsys is set"),
        ({"TT_METAL_SIMULATOR": "a.so"}, "TT_METAL_SIMULATOR", WARNING, "=a.so is set"),
        ({"TT_METAL_HOME": "/home/me/tt-metal"}, "TT_METAL_HOME", WARNING, "=/home/me/tt-metal is set"),
    ],
)
def test_variables_of_jax_and_the_client(environ: dict[str, str], check: str, severity: str, what: str) -> None:
    only(software.look_at_environment(environ), check, severity, what, "unset")


def test_variables_that_do_no_harm() -> None:
    environ = {"JAX_PLATFORMS": "cpu,tt", "TT_METAL_SLOW_DISPATCH_MODE": "0", "TT_METAL_SIMULATOR": ""}
    assert list(software.look_at_environment(environ)) == []


def test_a_descriptor_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tt_pjrt_system_descriptor").touch()
    assert list(software.look_at_environment({"TMPDIR": str(tmp_path)})) == []
    monkeypatch.setattr(software.os, "access", lambda path, how: False)
    only(software.look_at_environment({"TMPDIR": str(tmp_path)}), "TMPDIR", BLOCKS, "belongs to another user", "TMPDIR")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_plugin_here: None) -> Callable[..., Path]:
    """Put a distribution called pjrt-plugin-tt on the path, of this process and of those that it starts."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))

    def make(*lines: str, name: str = "pjrt-plugin-tt", module: str | None = "", entry: str = "jax_plugin_tt") -> Path:
        info = folder / f"{name.replace('-', '_')}-9.8.dist-info"
        info.mkdir()
        facts = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.8", *lines]
        (info / "METADATA").write_text("\n".join(facts) + "\n")
        (info / "entry_points.txt").write_text(f"[jax_plugins]\npjrt_plugin_tt = {entry}\n" if entry else "")
        if module is not None:
            (folder / f"{entry}.py").write_text(module or "raise SystemExit('imported')\n")
        return folder

    return make


def jax_version() -> str:
    return metadata.version("jax")


def test_a_wheel_that_fits(install: Callable[..., Path]) -> None:
    install("Requires-Python: >=3.11", f"Requires-Dist: jax=={jax_version()}", "Requires-Dist: torch==2.11.0")
    found = [*software.look_at_wheel(), software.look_at_python()]
    assert [finding.what for finding in found][:2] == [
        "pjrt-plugin-tt 9.8",
        f"jax {jax_version()}: as the wheel needs it",
    ]
    assert bad(found) == []


def test_a_wheel_for_another_jax(install: Callable[..., Path]) -> None:
    install("Requires-Dist: jax==0.0.1", "Requires-Dist: jaxlib>=0.1", 'Requires-Dist: jaxlib==9; python_version<"3"')
    what = f"jax {jax_version()}, but pjrt-plugin-tt 9.8 needs jax==0.0.1"
    only(software.look_at_wheel(), "jax", BLOCKS, what, 'pip install "jax==0.0.1"')


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"module": None}, "pjrt-plugin-tt 9.8 names the module jax_plugin_tt, which is not there"),
        ({"entry": "", "module": None}, "pjrt-plugin-tt 9.8 registers nothing with jax (entry points jax_plugins)"),
    ],
)
def test_a_damaged_wheel(how: dict[str, str | None], what: str, install: Callable[..., Path]) -> None:
    install(**how)
    only(software.look_at_wheel(), "wheel", BLOCKS, what, "pip uninstall pjrt-plugin-tt, then in a fresh virtual env")


def test_two_wheels(install: Callable[..., Path]) -> None:
    install()
    install(name="my-plugin", entry="my_plugin")
    found = software.look_at_wheel()
    only(found, "wheel", WARNING, "pjrt-plugin-tt 9.8 and my-plugin 9.8", "keep one")
    assert found[0].why.startswith("pytest-tt takes pjrt-plugin-tt 9.8;")
    assert found[1].what == "pjrt-plugin-tt 9.8, not my-plugin 9.8"


def test_python(install: Callable[..., Path]) -> None:
    assert software.look_at_python("3.12.3").severity == OK
    install("Requires-Python: >=3.14")
    only([software.look_at_python("3.12.3")], "python", BLOCKS, "needs >=3.14", "use a Python that is >=3.14")


@pytest.mark.skipif(bool(provider.known_distributions()), reason="a module of that name is installed here")
def test_a_plugin_without_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jax_plugins").mkdir()
    (tmp_path / "jax_plugins/libtt.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [finding.what for finding in software.look_at_wheel()] == ["module jax_plugins.libtt"]
    assert software.look_at_python("3.14.0") == ok("python", "Python 3.14.0")


def test_flax_that_jax_cannot_have(install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = install() / "flax"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('x.so: undefined symbol: _Z3xla')")
    only([software.look_at_flax()], "flax", BLOCKS, "ImportError: x.so: undefined symbol: _Z3xla", "fresh virtual env")
    monkeypatch.setattr(software.importlib.util, "find_spec", lambda name: None)
    only([software.look_at_flax()], "flax", WARNING, "flax is not installed", "pip install flax")


def test_jax_that_starts_with_python(install: Callable[..., Path]) -> None:
    assert software.look_at_start() == []
    site = install() / "sitecustomize.py"
    site.write_text("import sys, types\nsys.modules['jax'] = types.ModuleType('jax')\n")
    only(software.look_at_start(), "start", WARNING, "jax is imported when Python starts", "sitecustomize")
    with site.open("a") as file:
        file.write("bridge = sys.modules['jax._src.xla_bridge'] = types.SimpleNamespace()\n")
        file.write("bridge.backends_are_initialized = lambda: True\n")
    only(
        software.look_at_start(), "start", BLOCKS, "backends are started when Python starts, before flax", ".pth files"
    )


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = healthy(tmp_path, "t3k")
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    calls: list[str] = []

    def open_chips(root: Path, box: DetectedSystem) -> Diagnosis:
        calls.append(str(box.system))
        return ok("open", "8 chips")

    monkeypatch.setattr(opening, "open_chips", open_chips)
    monkeypatch.setattr(software, "look_at_flax", lambda: ok("flax", "fine"))
    monkeypatch.setattr(software, "look_at_start", lambda: [])
    monkeypatch.setattr(software, "look_at_python", lambda: ok("python", "Python 3.12"))
    monkeypatch.setattr(software, "look_at_wheel", lambda: [ok("wheel", "9.8")])
    monkeypatch.setenv("TT_METAL_HOME", "/x")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok      chips: t3k (4 x n300, 8 chips) found"
    start = lines.index("warn    TT_METAL_HOME: TT_METAL_HOME=/x is set")
    assert [line[:13] for line in lines[start + 1 : start + 3]] == ["        why: ", "        do:  "]
    assert lines[-1] == "tests can run on the chips, as far as can be seen without --open; 1 warning"
    assert calls == []
    assert main(["doctor", "--open", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["blocked"] is False
    assert document["findings"][-1] == {"check": "open", "severity": "ok", "what": "8 chips", "why": "", "do": ""}
    assert calls == ["t3k"]
    (root / "sys/module/tenstorrent/version").write_text("1.33\n")
    assert main(["doctor", "--open"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "BLOCKS  driver: tt-kmd 1.33 is too old" in lines
    assert lines[-1] == "tests cannot run on chips here: 1 thing to fix; 1 warning"
    assert calls == ["t3k"], "blocked, so nothing was opened"


@pytest.mark.parametrize("chips", [2, 1])
def test_opening(chips: int, tmp_path: Path, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    install(module=(FAKE_PLUGIN / "working/jax_plugin_tt.py").read_text())
    root = healthy(tmp_path / "machine")
    log = tmp_path / "log"
    for name, value in {"FAKE_CHIPS": str(chips), "FAKE_LOG": str(log), "JAX_PLATFORMS": "cpu"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TT_VISIBLE_DEVICES", "0")
    finding = opening.open_chips(root, detect(root))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event"] for event in events] == ["initialize", "open"]
    assert (events[0]["linen_first"], events[0]["visible"]) == (True, bdf(0))
    if chips == 2:
        assert re.fullmatch(r"2 chips opened, and a product of two matrices is right \(\d+\.\d s\)", finding.what)
        assert finding.severity == OK
    else:
        only([finding], "open", WARNING, "jax has 1 chips, but n300 (2 chips) found", "tt-smi -ls")


@pytest.mark.parametrize(
    ("module", "what", "why", "do"),
    [
        ("import os\ndef initialize(): os.abort()", "ended by SIGABRT", "", "reset the chips with tt-smi -r"),
        (
            "def initialize():\n    raise ImportError('p.so: undefined symbol: _x')\n",
            "jax reports an error", "tt", "jax and the wheel do not fit",
        ),
        ("import time\ndef initialize(): time.sleep(600)", "did not open within 1 s", "nothing", "reset the chips"),
    ],
    ids=["abort", "symbol", "hang"],
)  # fmt: skip
def test_opening_that_fails(
    module: str, what: str, why: str, do: str, tmp_path: Path, install: Callable[..., Path]
) -> None:
    install(module=module)
    root = healthy(tmp_path / "machine")
    finding = opening.open_chips(root, detect(root), limit_s=1 if "sleep" in module else 120)
    assert finding.severity == BLOCKS
    assert what in finding.what
    assert why in finding.why
    assert do in finding.do
    with ChipLock(detect(root), timeout_s=0, root=root, say=print):  # and the chips are free again
        only([opening.open_chips(root, detect(root))], "open", BLOCKS, "not opened: n300 (2 chips): /dev/tenstorrent/0")


def test_nothing_is_opened_and_jax_is_not_imported(tmp_path: Path, install: Callable[..., Path]) -> None:
    install()  # its module ends the process that imports it
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom pytest_tt.ci.doctor import diagnosis, software\n"
        "from pytest_tt.ci.doctor.examination import examine\n"
        "software.look_at_flax = lambda: diagnosis.ok('flax', 'looked at in a process of its own')\n"
        f"found = examine(Path({str(healthy(tmp_path / 'machine'))!r}), os.environ)\n"
        "assert not {'jax', 'flax', 'numpy'} & set(sys.modules)\n"
        "assert {'chips', 'users', 'wheel', 'flax'} <= {each.check for each in found}\n"
        "assert not [each for each in found if each.check in ('open', 'start')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_emulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chips do without the compiler; a build that the emulator does not know is said."""

    def missing() -> Build:
        raise CompilerMissing("not installed: pip install it")

    builds = {version: Build("jax-tt-plugin", version, tmp_path, "0") for version in ("0.1.3", "9.9")}
    monkeypatch.setattr(emulation, "find_build", missing)
    assert emulation.look_at_emulation().severity == OK
    assert emulation.look_at_emulation().what.endswith("not installed: pip install it")
    monkeypatch.setattr(emulation, "find_build", lambda: builds["0.1.3"])
    assert emulation.look_at_emulation().what == "jax-tt-plugin 0.1.3 is here for --tt-compile and --tt-backend emu"
    monkeypatch.setattr(emulation, "find_build", lambda: builds["9.9"])
    only([emulation.look_at_emulation()], "emulation", WARNING, "jax-tt-plugin 9.9 compiles, and the emulator does not")
