"""The list of what the engine `alchemy` passes and fails is that of the tests there are, and the page says the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.providers._alchemy import read_list
from tinyagent_actors import _alchemy

ROOT = Path(__file__).parent.parent.parent
MUST_PASS = {
    # Text, its end and its usage.
    "test_events_in_order", "test_thousands_of_events_in_one_write", "test_usage_after_the_finish_reason",
    "test_the_last_usage_counts", "test_no_usage_is_unknown_not_zero", "test_space_after_the_colon_is_free",
    "test_the_end_marker_without_a_finish_reason_is_a_stop", "test_comments_unknown_fields_and_names_change_nothing",
    # Tools: one after the other, and none that must not run.
    "test_calls_without_an_index", "test_new_ids_at_one_index_are_new_calls", "test_arguments_that_may_not",
    "test_calls_run_under_the_finish_reason_stop", "test_calls_of_a_message_that_was_cut_never_run",
    # Statuses.
    "test_statuses", "test_a_page_with_an_error_status", "test_the_body_decides_before_the_status",
    "test_no_secret_in_an_error", "test_nothing_at_all_is_an_empty_response",
    # Leaving.
    "test_cancel_while_waiting_closes_the_socket", "test_leaving_early_closes_the_socket",
    "test_an_exception_in_the_block_closes_the_socket", "test_leaving_without_reading_sends_nothing_or_leaves",
}  # fmt: skip
"""Tests that the engine has to pass in every case, whatever it loses elsewhere."""
THINKING = {f"test_content.py::test_thinking_under_any_name_and_once[alchemy-delta{case}]" for case in range(3)}
"""Its three common names; the crate does not know the others."""


@pytest.mark.process
@pytest.mark.skipif(not _alchemy.ALCHEMY_AVAILABLE, reason="the engine alchemy is not built")
def test_the_list_and_the_page_are_current() -> None:
    """`make alchemy` makes both anew."""
    command = [sys.executable, ".ci/alchemy.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_what_it_must_pass_it_passes() -> None:
    """No new list makes a failure of these acceptable."""
    lists = read_list()
    passes = {name.partition("[")[0].rpartition("::")[2] for name in lists["passes"]}
    rest = {name for names in lists.values() for name in names} - set(lists["passes"])
    others = {name.partition("[")[0].rpartition("::")[2] for name in rest}

    assert MUST_PASS - passes == set()
    assert MUST_PASS & others == set()
    assert set(lists["passes"]) >= THINKING
