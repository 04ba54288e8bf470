"""Isolation: tests run in a process of their own, so that one that takes its process down fails alone.

A test of a young compiler may segfault, abort, hang or eat all memory, and would take the whole run with it. With
``--tt-isolate`` the process that was started (here: the parent) collects, reports and keeps the results; it hands one
test after the other to a *child*: the same Python running the same pytest command line, which has collected the same
tests. One child runs many tests, because starting jax costs a second or more. When it dies, the test that it was at
fails with the phase it had come to, the reason, where it was and its last output, and a fresh child goes on with the
next test. When a test exceeds ``--tt-timeout``, the parent has the child write down where it is, asks it to end (a
client that closes its chips in order leaves none hung), and kills it with everything it started.

- No fork: neither jax nor TT's client survives one.
- All tests of an isolated run go to the child, not only those that use chips: module and session fixtures are set up
  once, in one process, and a test that starts jax without a fixture of ours does not take the chips away from the
  others. A run in which no test uses chips is not isolated and pays nothing.
- Reports, warnings and phases travel as lines of JSON over a socket; the child waits for the parent's answer to each
  report, which says whether the run is about to stop (-x, --maxfail), so that fixtures are torn down then as usual.
- For other plugins the child is what pytest-xdist calls a worker (``config.workerinput``): it writes no JUnit file and
  no cache of failures, the parent does. What their other half puts in there (``pytest_configure_node``) is put in,
  with or without xdist; a child that cannot be configured all the same ends the run with one error that names the
  plugin. Like under xdist: no live logs, no stdin (``--pdb`` turns isolation off, for ``breakpoint()`` add
  ``--no-tt-isolate``), and hooks such as ``pytest_sessionstart`` run in both processes. Capturing works as ever,
  ``-s`` too.
- A plugin that reruns failures sees a test that died as one that failed (attempts.py), and coverage counts what a
  child ran (coverage.py).
- A test that fails for want of memory (MemoryError, or XLA's RESOURCE_EXHAUSTED) leaves a process that is not to be
  trusted: everything is torn down after it, and the next test gets a fresh child.
- On hw the parent holds the lock of the chips and never opens them; a child inherits the lock's descriptors, so that
  there is no gap in which another run could take them, and no child outlives its parent. After a death the fresh child
  opens the chips before it gets a test: where that fails the chips are hung, which is said once, and mended by
  ``tt-smi -r`` only under ``--tt-reset``; otherwise the tests that are left fail at once instead of hanging one by one.

Why not pytest-xdist alone, whose controller replaces a worker that crashed: it knows no time limit and gives no way to
end a worker that hangs, it does not show what the worker said last, it gives up after a number of crashes, and the
plugin must work without it. Both work together: under ``-n 2`` each worker is the parent of a child of its own.
"""
