"""How threads wait for one another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from xformer.threads import SPIN_COUNT, environment_as_given, set_wait_policy


def test_threads_wait_for_a_short_time() -> None:
    environment = {"HOME": "/root"}
    assert set_wait_policy(environment, torch_is_loaded=False)
    assert environment["GOMP_SPINCOUNT"] == SPIN_COUNT
    assert set_wait_policy(environment, torch_is_loaded=True), "it was set before torch was loaded"
    assert environment_as_given(environment) == {"HOME": "/root"}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"])
@pytest.mark.parametrize("loaded", [False, True])
def test_what_the_user_has_set_stays(name: str, loaded: bool) -> None:
    environment = {name: "active"}
    assert set_wait_policy(environment, torch_is_loaded=loaded)
    assert environment == environment_as_given(environment) == {name: "active"}


def test_it_is_too_late_once_torch_is_there() -> None:
    environment: dict[str, str] = {}
    assert not set_wait_policy(environment, torch_is_loaded=True)
    assert environment == {}


def test_the_command_line_sets_it_and_imports_no_torch() -> None:
    code = (
        "import os, sys, xformer.threads\n"
        "assert xformer.threads.set_wait_policy() and 'torch' not in sys.modules\n"
        "print(os.environ['GOMP_SPINCOUNT'])"
    )
    given = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP", "KMP"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=given)
    assert done.stdout.split() == [SPIN_COUNT], done.stderr
