"""Isolation: tests run in a process of their own, so that a test that crashes its process fails alone.

A test of a young compiler may segfault, abort, hang or use up all memory, and would end the whole run. With
``--tt-isolate`` the process that was started (the parent) collects, reports and keeps the results. It hands the tests
one by one to a *child* process: the same Python running the same pytest command line, which has collected the same
tests. One child runs many tests, because starting jax takes a second or more. When it crashes, the running test fails
with the phase it had reached, the reason, where it was and its last output, and a new child continues with the next
test. When a test exceeds ``--tt-timeout``, the parent has the child dump its stacks, asks it to end (a client that
closes its chips properly leaves none hung), and kills it with everything it started.

- No fork: neither jax nor TT's client survives one.
- The child runs all tests of an isolated run, not only those that use chips. So module and session fixtures are set up
  once, in one process, and a test that starts jax without one of our fixtures does not take the chips from the others.
  A run in which no test uses chips is not isolated and costs nothing extra.
- Reports, warnings and phases travel as lines of JSON over a socket; the child waits for the parent's answer to each
  report, which says whether the run is about to stop (-x, --maxfail), so that fixtures are then torn down as usual.
- To other plugins the child looks like a worker of pytest-xdist (``config.workerinput``): the parent writes the JUnit
  file and the cache of failures, the child does not. What plugins prepare for workers (``pytest_configure_node``) is
  prepared with or without xdist. A child that still cannot be configured ends the run with one error that names the
  plugin. As under xdist, there are no live logs and no stdin (``--pdb`` turns isolation off; for ``breakpoint()`` add
  ``--no-tt-isolate``), and hooks such as ``pytest_sessionstart`` run in both processes. Capturing works as usual, and
  so does ``-s``.
- A plugin that reruns failures sees a crashed test as a failed one (attempts.py), and coverage counts what a child ran
  (coverage.py).
- A test that runs out of memory (MemoryError, or XLA's RESOURCE_EXHAUSTED) leaves a process that cannot be trusted:
  everything is torn down after it, and the next test gets a new child.
- On hw the parent holds the lock of the chips and never opens them. A child inherits the lock's descriptors, so that
  no other run can take the chips in between, and no child outlives its parent. After a crash the new child opens the
  chips before it gets a test. If that fails, the chips hang: the run says so once and resets them by ``tt-smi -r``, but
  only with ``--tt-reset``. Otherwise the remaining tests fail at once instead of hanging one by one.

Why not pytest-xdist alone, whose controller replaces a crashed worker: it has no time limit, cannot end a worker that
hangs, does not show the worker's last output and gives up after a number of crashes, and the plugin must work without
it. Both work together: under ``-n 2`` each worker is the parent of a child of its own.
"""
