"""A card that hangs: what is tried in which order, and that it is never tried for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.recovery import DAY_S, OFTEN, REBOOTS, REOPENS, RESTARTS, UP_S, WINDOW_S, Kept, Recovery, Step


def hang(recovery: Recovery, at: float, times: int = REOPENS) -> list[Step]:
    return [recovery.hung(at + number) for number in range(times)]


def test_it_is_opened_again_before_anything_else() -> None:
    assert hang(Recovery(Kept(), "boot"), 100) == [Step.REOPEN] * (REOPENS - 1) + [Step.RESTART]


def test_a_card_that_worked_in_between_does_not_hang_in_a_row() -> None:
    recovery = Recovery(Kept(), "boot")
    for minute in range(0, 1000, 5):
        recovery.opened(60 * minute)
        assert recovery.hung(60 * minute + 30) is Step.REOPEN


def test_a_card_that_works_for_a_moment_and_hangs_again_is_not_opened_for_ever() -> None:
    recovery = Recovery(Kept(), "boot")
    steps = []
    for number in range(OFTEN):
        recovery.opened(60 * number)
        steps.append(recovery.hung(60 * number + 30))
    assert steps == [Step.REOPEN] * (OFTEN - 1) + [Step.RESTART]


def test_a_card_that_opens_and_hangs_at_once_does_hang_in_a_row() -> None:
    recovery = Recovery(Kept(), "boot")
    steps = []
    for second in range(REOPENS):
        recovery.opened(second)
        steps.append(recovery.hung(second + 0.5))
    assert steps[-1] is Step.RESTART


def test_a_call_of_somebody_who_needs_no_card_is_not_cut_off() -> None:
    recovery = Recovery(Kept(), "boot")
    assert {recovery.hung(at, busy=True) for at in range(20)} == {Step.REOPEN}
    assert recovery.hung(20) is Step.RESTART


def test_new_starts_that_do_not_help_are_given_up_and_tried_again_an_hour_later() -> None:
    kept = Kept()
    for start in range(RESTARTS):
        recovery = Recovery(kept, "boot")
        assert hang(recovery, 100 * start)[-1] is Step.RESTART
        kept = recovery.kept
    recovery = Recovery(kept, "boot")
    assert hang(recovery, 1000)[-1] is Step.GIVE_UP
    assert recovery.reason == (
        "3 new starts within an hour did not help, and device.reboot_after does not allow to reboot the machine"
    )
    assert recovery.hung(1000 + WINDOW_S) is Step.RESTART


def test_the_machine_is_rebooted_only_where_that_is_allowed_and_never_when_it_is_young() -> None:
    worn = Kept("boot", (UP_S - 60.0,))
    assert Recovery(worn, "boot").escalate(UP_S) is Step.RESTART
    young = Recovery(Kept("boot", (10.0,)), "boot", reboot_after=1)
    assert young.escalate(60) is Step.GIVE_UP
    assert "before it was up for 60 minutes" in young.reason
    assert Recovery(worn, "boot", reboot_after=1).escalate(UP_S) is Step.REBOOT


def test_what_was_done_in_another_boot_counts_only_where_it_was_a_reboot() -> None:
    recovery = Recovery(Kept("before", (1.0, 2.0, 3.0), 1), "now", reboot_after=1)
    assert recovery.kept == Kept("now", (), 1)


@given(
    reboot_after=st.integers(0, 5),
    forgetful=st.booleans(),
    gaps=st.lists(st.floats(0.5, 7200), min_size=50, max_size=400),
)
def test_however_it_hangs_there_is_never_a_loop_of_reboots(
    reboot_after: int, forgetful: bool, gaps: list[float]
) -> None:
    """A forgetful box loses its state directory with each boot."""
    kept, boot, up, uptimes = Kept(), 0, 0.0, []
    restarts: list[float] = []
    recovery = Recovery(kept, str(boot), reboot_after=reboot_after)
    for gap in gaps:
        up += gap
        match recovery.escalate(up):
            case Step.RESTART:
                restarts.append(up)
                assert sum(up - then < WINDOW_S for then in restarts) <= (reboot_after or RESTARTS)
                recovery = Recovery(recovery.kept, str(boot), reboot_after=reboot_after)
            case Step.REBOOT:
                uptimes.append(up)
                kept = Kept() if forgetful else recovery.kept
                boot, up, restarts = boot + 1, 0.0, []
                recovery = Recovery(kept, str(boot), reboot_after=reboot_after)
            case Step.GIVE_UP:
                assert recovery.reason
    assert all(uptime >= UP_S for uptime in uptimes)
    if not reboot_after:
        assert not uptimes
    if not forgetful:
        assert all(uptime >= DAY_S for uptime in uptimes[REBOOTS:])


@pytest.mark.parametrize("kept", [Kept("boot", (5000.0,), 0), Kept("", (), -7)])
def test_what_makes_no_sense_is_survived(kept: Kept) -> None:
    assert Recovery(kept, "boot", reboot_after=1).escalate(100.0) in Step
