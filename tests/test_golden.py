"""The fixture tt_golden: what is compared, what is recorded, and when a run is red."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from pytest_tt.golden import Golden, GoldenChecker, digest, load, save

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    RunTT = Callable[..., pytest.RunResult]

X = np.arange(12, dtype=np.float32).reshape(3, 4)
WEIGHTS = {"dense": {"kernel": np.full((4, 2), 0.5, np.float32)}}


def reference(factor: float = 2.0, **info: Any) -> Golden:
    return Golden(
        inputs={"x": X},
        outputs={"y": X * np.float32(factor)},
        info={
            "model": "mlp",
            "variant": "tiny",
            "reference": {"implementation": "numpy", "versions": {"numpy": "2"}},
            "weights": {"kind": "synthetic", "seed": 0, "digest": digest(WEIGHTS)},
            **info,
        },
    )


class Told:
    """What the checker tells the results document."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, facts: Mapping[str, Any]) -> None:
        self.facts.append((kind, dict(facts)))


def checker(directory: Path, told: Told | None = None, *, update: bool = False, backend: str = "sim") -> GoldenChecker:
    return GoldenChecker(
        directory=directory, default_case="case", backend=backend, update=update, record=told or Told()
    )


def failure(call: Callable[[], object]) -> str:
    with pytest.raises(pytest.fail.Exception) as caught:
        call()
    assert caught.value.pytrace is False
    assert caught.value.__context__ is None, "the text stands alone, without a chain of exceptions"
    return str(caught.value)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    save(tmp_path / "case.safetensors", reference())
    return tmp_path


def test_right_outputs_pass_and_the_facts_are_told(recorded: Path) -> None:
    told = Told()
    golden = checker(recorded, told)
    golden({"y": golden.load().inputs["x"] * 2}, weights=WEIGHTS, pcc=0.9999)
    kinds = [kind for kind, _ in told.facts]
    assert kinds == ["golden", "golden", "golden", "golden", "phase", "compare"]
    facts = told.facts[-3][1]
    assert facts.pop("digest").startswith("sha256:")
    assert facts.pop("file").endswith("case.safetensors")
    assert facts == {"case": "case", "model": "mlp", "variant": "tiny"}
    assert told.facts[-2] == ("phase", {"phase": "compare"})
    assert told.facts[-1][1]["case"]["verdict"] == "pass"


def test_wrong_outputs_fail_with_the_golden_and_how_to_update(recorded: Path) -> None:
    told = Told()
    text = failure(lambda: checker(recorded, told)({"y": X * np.float32(2.02)}))
    assert text.startswith("golden 'case': 1 of 1 leaf differs (backend sim)\n")
    assert "hint: actual = 1.01 x expected" in text
    assert "case.safetensors, recorded from numpy (numpy 2)" in text
    assert "pytest --tt-golden-update" in text
    assert "test_wrong_outputs_fail_with_the_golden_and_how_to_update" in text
    assert told.facts[-1][1]["case"]["verdict"] == "fail"


def test_bare_array_takes_the_name_of_the_only_output(recorded: Path) -> None:
    checker(recorded)(X * 2)
    assert "1 missing, 1 unexpected" in failure(lambda: checker(recorded)({"output": X * 2}))


def test_bounds_of_call_and_golden(tmp_path: Path) -> None:
    save(tmp_path / "case.safetensors", reference(bounds={"sim": {"rel_l2": 0.02, "reason": "tables"}}))
    golden = checker(tmp_path)
    golden(X * np.float32(2.02))
    assert "looser than the bound 0.02" in failure(lambda: golden(X * np.float32(2.02), rel_l2=0.1))
    assert "FAIL  rel_l2" in failure(lambda: golden(X * np.float32(2.02), rel_l2=0.001))
    assert "pcc=3 is out of range" in failure(lambda: golden(X, pcc=3))
    checker(tmp_path, backend="hw")(X * np.float32(2.2))
    golden(X * np.float32(2.2), rel_l2=0.15, reason="the scale does not matter here")


def test_weights_must_be_those_of_the_golden(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    golden = checker(recorded)
    golden(X * 2, weights=digest(WEIGHTS))
    other = {"dense": {"kernel": np.full((4, 2), 0.25, np.float32)}}
    text = failure(lambda: golden(X * 2, weights=other))
    assert f"these are not the weights it was recorded with: digest {digest(other)}, expected {digest(WEIGHTS)}" in text
    assert "(kind synthetic, seed 0)" in text
    plain = tmp_path_factory.mktemp("plain")
    save(plain / "case.safetensors", reference(weights={"kind": "none"}))
    assert "records no digest of its weights" in failure(lambda: checker(plain)(X * 2, weights=WEIGHTS))


def test_leaf_that_is_no_number_fails_with_its_name(recorded: Path) -> None:
    assert "leaf 'y' (str) is not an array of numbers" in failure(lambda: checker(recorded)({"y": "text"}))


def test_renamed_golden_is_noticed(recorded: Path) -> None:
    (recorded / "case.safetensors").rename(recorded / "other.safetensors")
    text = failure(lambda: checker(recorded).load("other"))
    assert "was recorded as case 'case' and renamed since" in text


@pytest.mark.parametrize("case", ["../case", "a/b", "", ".hidden"])
def test_case_is_a_file_name(tmp_path: Path, case: str) -> None:
    assert "is not a file name" in failure(lambda: checker(tmp_path).load(case))


def test_update_needs_a_reference(recorded: Path) -> None:
    golden = checker(recorded, update=True)
    assert "finds no reference to record from" in failure(lambda: golden(X * 2))
    golden(X * 2, reference=reference)
    golden(X * 2)  # recorded in this run, by this very process


def test_update_records_from_the_reference_and_stays_red_once(tmp_path: Path) -> None:
    path = tmp_path / "case.safetensors"
    golden = checker(tmp_path, update=True)
    text = failure(lambda: golden.load(reference=lambda: reference(case="another")))
    assert "golden recorded: " in text
    assert "new file" in text
    assert "outputs: y float32 (3, 4)" in text
    assert load(path).info["case"] == "case", "the case is the one that was asked for"
    before = path.read_bytes()
    golden(X * 2, reference=reference)
    assert path.read_bytes() == before
    assert "FAIL  y" in failure(lambda: golden(X * 3, reference=reference)), "an update still compares"
    text = failure(lambda: golden(X * 3, reference=lambda: reference(3.0)))
    assert "was already recorded in this run with other values" in text
    assert path.read_bytes() == before, "the first recording stands"
    text = failure(lambda: checker(tmp_path, update=True)(X * 3, reference=lambda: reference(3.0)))
    assert "output y: 11 of 12 elements changed, rel_l2 0.5, max_abs 11" in text
    assert load(path).outputs["y"][2, 3] == 33


def test_update_repairs_a_broken_golden(recorded: Path) -> None:
    path = recorded / "case.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    text = failure(lambda: checker(recorded, update=True).load(reference=reference))
    assert "replaces a broken file" in text
    checker(recorded)(X * 2)


def test_reference_is_called_under_an_update_only(recorded: Path) -> None:
    def never() -> Golden:
        raise AssertionError("called")

    checker(recorded)(X * 2, reference=never)
    with pytest.raises(AssertionError, match="called"):
        checker(recorded, update=True)(X * 2, reference=never)


def test_reference_without_its_packages_names_the_extra(recorded: Path) -> None:
    def without() -> Golden:
        import a_package_that_is_not_there  # type: ignore[import-not-found]

        return a_package_that_is_not_there  # type: ignore[no-any-return]

    text = failure(lambda: checker(recorded, update=True).load(reference=without))
    assert "needs a_package_that_is_not_there" in text
    assert "pip install 'pytest-tt[reference]'" in text


def test_reference_that_returns_something_else(recorded: Path) -> None:
    golden = checker(recorded, update=True)
    assert "returned ndarray, which has no 'inputs'" in failure(lambda: golden.load(reference=lambda: X))  # type: ignore[arg-type,return-value]
    bad = Golden(outputs={"y": "text"}, info={})  # type: ignore[dict-item]
    assert "from the reference: leaf 'y'" in failure(lambda: golden.load(reference=lambda: bad))
    assert "gave no outputs" in failure(lambda: golden.load(reference=lambda: Golden(outputs={}, info={})))


@pytest.mark.parametrize(
    ("value", "refused"), [("true", True), ("1", True), ("azure", True), ("", False), ("0", False)]
)
def test_update_in_ci_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, refused: bool) -> None:
    monkeypatch.setenv("CI", value)
    checker(tmp_path)
    if refused:
        with pytest.raises(pytest.UsageError, match="refused because CI is set"):
            checker(tmp_path, update=True)
    else:
        checker(tmp_path, update=True)


# Through pytest

TESTS = """
import os
import numpy as np
import pytest
from pytest_tt.golden import Golden, digest

FACTOR = np.float32(os.environ.get("FACTOR", "2"))
WEIGHTS = {"w": np.ones(3, np.float32)}

def reference():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Golden(
        inputs={"x": x},
        outputs={"y": x * FACTOR},
        info={
            "model": "double",
            "variant": "tiny",
            "reference": {"implementation": "numpy", "versions": {}},
            "weights": {"kind": "synthetic", "seed": 0, "digest": digest(WEIGHTS)},
        },
    )

@pytest.mark.tt(mesh=["1x1", "1x2"])
def test_double(tt_golden, tt_jit):
    golden = tt_golden.load(reference=reference)
    y = tt_jit(lambda x: x * FACTOR)(golden.inputs["x"])
    tt_golden({"y": y}, reference=reference, weights=WEIGHTS)
"""


def test_life_of_a_golden(pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(test_it=TESTS)
    path = pytester.path / "golden" / "test_double.safetensors"

    result = run_tt()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["golden 'test_double': golden/test_double.safetensors: no such golden; record it *"])
    result.stdout.no_fnmatch_line("*During handling*")
    assert not path.exists()

    result = run_tt("--tt-golden-update")
    result.assert_outcomes(failed=1, passed=1)  # the second mesh finds the bytes already there
    result.stdout.fnmatch_lines(["golden recorded: golden/test_double.safetensors", "  new file"])
    first = path.read_bytes()

    run_tt("--tt-golden-update").assert_outcomes(passed=2)
    assert path.read_bytes() == first
    run_tt().assert_outcomes(passed=2)

    monkeypatch.setenv("FACTOR", "2.02")
    result = run_tt()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["golden 'test_double': 1 of 1 leaf differs (backend sim)", "*hint: actual = 1.01 x *"])
    result.stdout.fnmatch_lines(['  pytest --tt-golden-update "test_it.py::test_double[[]1x1]"'])

    run_tt("--tt-golden-update").assert_outcomes(failed=1, passed=1)
    run_tt().assert_outcomes(passed=2)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


BROKEN = """
import numpy as np

def test_truncated(tt_golden):
    tt_golden.load()

def test_schema(tt_golden):
    tt_golden.load()

def test_weights(tt_golden):
    tt_golden(np.ones(2, np.float32), weights={"w": np.zeros(2, np.float32)})

def test_half(tt_golden):
    import jax.numpy as jnp

    golden = tt_golden.load()
    assert golden.inputs["x"].dtype.name == "bfloat16"
    tt_golden(jnp.asarray(golden.inputs["x"]) * jnp.bfloat16(2))
"""


def test_broken_goldens_fail_and_bfloat16_passes(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    folder = pytester.path / "golden"
    info = {"reference": {"implementation": "numpy"}, "weights": {"kind": "synthetic", "digest": "sha256:0"}}
    ones = np.ones(2, np.float32)
    for case in ("test_truncated", "test_schema", "test_weights"):
        save(folder / f"{case}.safetensors", Golden(outputs={"y": ones}, info=info))
    half = X.astype(ml_dtypes.bfloat16)
    save(folder / "test_half.safetensors", Golden(inputs={"x": half}, outputs={"y": half + half}, info=info))
    path = folder / "test_truncated.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    path = folder / "test_schema.safetensors"
    path.write_bytes(path.read_bytes().replace(b'\\"schema\\":1', b'\\"schema\\":9'))
    pytester.makepyfile(BROKEN)
    result = run_tt()
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(
        [
            "golden 'test_truncated': golden/test_truncated.safetensors: not a whole safetensors file *",
            "golden 'test_schema': golden/test_schema.safetensors: golden schema is 9, this pytest-tt reads schema 1*",
            "golden 'test_weights': these are not the weights it was recorded with: digest sha256:*, expected *",
        ]
    )


def test_update_in_ci_ends_the_run(pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(TESTS)
    monkeypatch.setenv("CI", "true")
    result = run_tt("--tt-golden-update")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--tt-golden-update is refused because CI is set*"])
    assert not Path(pytester.path, "golden").exists()
