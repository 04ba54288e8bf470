"""What the public TT-XLA tutorials show users doing works in tests; the scripts themselves: test_examples.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]


def test_mesh_option_of_the_lesson_does_not_exist(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """The lesson sets ``jax_tt_mesh``; jax has no such option. ``--tt-mesh`` and the marker do what it promises."""
    pytester.makepyfile(
        """
        import jax
        import pytest

        def test_option():
            with pytest.raises(AttributeError, match="jax_tt_mesh"):
                jax.config.update("jax_tt_mesh", "1x2")

        def test_mesh(tt_mesh):
            assert tt_mesh.devices.shape == (1, 2)
        """
    )
    run_tt("--tt-mesh", "1x2").assert_outcomes(passed=2)


def test_single_chip_template(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """Compiler options, ``jax.jit(f, backend="tt")`` where jax still has it, compiled artifacts on disk."""
    pytester.makepyfile(
        """
        import warnings

        import jax
        import jax.numpy as jnp
        import numpy as np
        import pytest

        def model(x):
            return jnp.sin(x) * jnp.cos(x)

        INPUT = np.linspace(-3, 3, 10, dtype=np.float32)
        EXPECTED = np.sin(INPUT) * np.cos(INPUT)

        def test_backend_argument(tt_run):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                try:
                    compiled = jax.jit(model, backend="tt")
                except TypeError:
                    pytest.skip("this jax has no jit(backend=)")
            out = compiled(INPUT)
            assert out.devices() == {jax.devices("tt")[0]}
            np.testing.assert_allclose(out, EXPECTED, rtol=1e-5)

        @pytest.mark.tt(options={"optimization_level": 1, "math_fidelity": "hifi4"})
        def test_options_and_artifacts(tt_jit, tt_run):
            out = tt_jit(model)(INPUT)
            np.testing.assert_allclose(out, EXPECTED, rtol=1e-5)
            assert tt_run.options == {"optimization_level": "1", "math_fidelity": "hifi4"}
        """
    )
    result = run_tt("--tt-artifacts", "output")
    assert result.ret == 0
    assert result.parseoutcomes().get("passed", 0) + result.parseoutcomes().get("skipped", 0) == 2
    (stablehlo,) = pytester.path.glob("output/**/*.stablehlo.mlir")
    assert "stablehlo.cosine" in stablehlo.read_text(encoding="utf-8")


def test_options_of_the_tutorial_that_are_gone(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """The plugin of today ignores them without a word; here each is an error that says what to use."""
    pytester.makepyfile("def test_x(): pass")
    for option in ("enable_optimizer", "enable_memory_layout_analysis", "enable_l1_interleaved"):
        result = run_tt("--tt-compiler-option", f"{option}=true")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*argument --tt-compiler-option: *{option}*optimization_level*"])
