"""Versions side by side: the one that does not come up makes room for the one before. (systemctl, sync: fakes.)"""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLED, TERMINATED = -9, 143
WAITS = "edgevoice: another version is installed, or on trial: this waits for that\n"
# What systemd does, as far as it is asked here: a version holds a file that says how it behaves.
SYSTEMCTL = """#!/bin/sh
state={root}/state; touch $state; version={root}/opt/edgevoice/current
echo "$*" >>{root}/asked
case "$*" in
*restart*) case $(cat $version/behaves) in
    refuses) echo failed >$state; exit 1 ;;
    *) echo active >$state ;;
    esac ;;
"stop "*) echo inactive >$state ;;
*is-active*) cat $state; [ "$(cat $state)" = active ] ;;
*is-enabled*) [ ! -e {root}/disabled ] ;;
*StatusText*) case $(cat $version/behaves) in
    deaf) echo "fault: no card" ;;
    pinless) echo "idle; out of order: panel: GPIO busy" ;;
    *) echo idle ;;
    esac ;;
*NRestarts*) if [ "$(cat $version/behaves)" = dies ]; then date +%N; else echo 0; fi ;;
esac
"""


# It tells which version was the one that runs then.
SYNC = """#!/bin/sh
echo "sync $* with $(readlink {root}/opt/edgevoice/current)" >>{root}/asked
"""
# Watching takes seconds: then what the test says happens, a line each time.
SLEEP = """#!/bin/sh
if [ -s {root}/happens ]; then eval "$(sed -n 1p {root}/happens; sed -i 1d {root}/happens)"; fi
"""
POWER_CUT, SHUT_DOWN = "kill -KILL $PPID", "kill -TERM $PPID"


class Box:
    """A machine on which versions are put side by side."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        programs = folder / "bin"
        programs.mkdir()
        fakes = {
            "systemctl": SYSTEMCTL.format(root=folder),
            "journalctl": "#!/bin/sh\n",
            "sleep": SLEEP.format(root=folder),
            "sync": SYNC.format(root=folder),
        }
        for name, text in fakes.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "DESTDIR": str(folder),
            "EDGEVOICE_LIVE": "1",
            "EDGEVOICE_SETTLED_S": "1",
        }

    def asked(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "packaging" / "release"), *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)

    def begin(self, *words: str, output: int = subprocess.PIPE, within: str = "") -> subprocess.Popen[str]:
        command = [*within.split(), str(ROOT / "packaging" / "release"), *words]
        return subprocess.Popen(command, env=self._environment, stdout=output, stderr=output, text=True)

    def update(
        self,
        version: str,
        behaves: str = "well",
        unit: str = "a unit\n",
        output: int = subprocess.DEVNULL,
        within: str = "",
        packaged: bool = True,
    ) -> int:
        """Do what a package does; return the exit code.

        `output`: a descriptor for what it says; `within`: a command that runs it; not `packaged`: as `make install`.
        """
        payload = self.root / "payload"
        subprocess.run(["rm", "-rf", payload], check=True)
        subprocess.run([ROOT / "packaging" / "lay", payload], check=True)
        (payload / "share/edgevoice.service").write_text(unit)
        (payload / "behaves").write_text(behaves)
        shipped = self.root / "usr/lib/systemd/system/edgevoice.service"
        shipped.parent.mkdir(parents=True, exist_ok=True)
        shipped.write_text(unit)
        if not packaged:
            shipped.unlink()
        return self.begin("add", str(payload), version, output=output, within=within).wait()

    def power_fails(self, times: int = 1) -> None:
        """Have the power fail while the next version is watched, and at the next boot, and so on."""
        self.while_it_is_watched(*[POWER_CUT] * times)

    def while_it_is_watched(self, *happens: str) -> None:
        """Have something happen, each time that `release` waits for a second."""
        (self.root / "happens").write_text("".join(f"{line}\n" for line in happens))

    def behaves_now(self, behaves: str) -> None:
        """Change how the version that runs behaves."""
        (self.root / "opt/edgevoice/current/behaves").write_text(behaves)

    def link(self, name: str) -> str:
        path = self.root / "opt/edgevoice" / name
        return os.readlink(path) if path.is_symlink() else ""

    @property
    def links(self) -> tuple[str, str]:
        return self.link("current"), self.link("previous")

    @property
    def versions(self) -> set[str]:
        folder = self.root / "opt/edgevoice"
        return {path.name for path in folder.iterdir() if path.is_dir() and not path.is_symlink()}

    @property
    def state(self) -> str:
        return (self.root / "state").read_text().strip()

    @property
    def own_unit(self) -> Path:
        return self.root / "etc/systemd/system/edgevoice.service"

    @property
    def on_trial(self) -> bool:
        return (self.root / "opt/edgevoice/trial").exists()

    @property
    def failure(self) -> Path:
        return self.root / "opt/edgevoice/failed"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_the_first_version_is_enabled_and_started(box: Box) -> None:
    assert box.update("1.0") == 0
    assert box.links == ("1.0", "")
    assert box.state == "active"
    assert f"--root={box.root} -q enable edgevoice.service" in (box.root / "asked").read_text()


def test_an_update_runs_and_the_version_before_is_kept(box: Box) -> None:
    for version in ("1.0", "1.1", "1.2"):
        assert box.update(version) == 0
    assert box.links == ("1.2", "1.1")
    assert box.update("1.3") == 0
    assert box.versions == {"1.1", "1.2", "1.3"}, "what was neither running nor the way back is gone"


@pytest.mark.parametrize("behaves", ["refuses", "dies", "deaf", "pinless"])
def test_a_version_that_does_not_come_up_makes_room_for_the_one_before(box: Box, behaves: str) -> None:
    box.update("1.0")
    box.update("1.1")
    assert box.update("1.2", behaves) == 3
    assert box.links == ("1.1", "1.0")
    assert box.state == "active"
    assert box.failure.read_text().startswith("version 1.2 did not come up on ")


def test_a_fault_that_the_version_before_had_too_is_no_reason_to_go_back(box: Box) -> None:
    box.update("1.0", "deaf")
    assert box.update("1.1", "deaf") == 0
    assert box.update("1.2") == 0
    assert box.links == ("1.2", "1.1")


def test_a_version_is_on_the_disk_before_it_is_switched_to(box: Box) -> None:
    box.update("1.0")
    box.update("1.1")
    synced = [line for line in (box.root / "asked").read_text().splitlines() if line.startswith("sync ")]
    folder = box.root / "opt/edgevoice"
    assert synced == [f"sync -f {folder}/.trial with 1.0", f"sync {folder} with 1.0"]


def test_a_power_cut_while_a_version_is_watched_is_no_way_to_stay(box: Box) -> None:
    box.update("1.0")
    box.update("1.1")
    box.power_fails()
    assert box.update("1.2", "dies") == KILLED
    assert (box.links, box.on_trial) == (("1.2", "1.1"), True)
    assert box.asked("watch").returncode == 3
    assert (box.links, box.on_trial, box.state) == (("1.1", "1.0"), False, "active")
    assert box.failure.read_text().startswith("version 1.2 did not come up on ")


def test_a_version_that_the_power_cut_has_spoilt_makes_room(box: Box) -> None:
    box.update("1.0", unit="the old unit\n")
    box.power_fails()
    box.update("1.1", unit="the new unit\n")
    box.behaves_now("refuses")
    assert box.asked("watch").returncode == 3
    assert (box.links, box.on_trial) == (("1.0", ""), False)
    assert box.own_unit.read_text() == "the old unit\n"


def test_a_version_that_comes_up_after_a_power_cut_stays(box: Box) -> None:
    box.update("1.0")
    box.power_fails()
    assert box.update("1.1") == KILLED
    assert box.asked("watch").returncode == 0
    assert (box.links, box.on_trial, box.failure.exists()) == (("1.1", "1.0"), False, False)
    asked = (box.root / "asked").read_text()
    assert box.asked("watch").returncode == 0
    assert (box.root / "asked").read_text() == asked, "once is enough"


def test_a_version_stays_where_there_is_no_other_any_more(box: Box) -> None:
    box.update("1.0")
    box.power_fails()
    box.update("1.1", "dies")
    subprocess.run(["rm", "-r", box.root / "opt/edgevoice/1.0"], check=True)
    assert box.asked("watch").returncode == 0
    assert (box.link("current"), box.on_trial) == ("1.1", False)


def test_a_version_with_which_the_power_fails_twice_makes_room(box: Box) -> None:
    box.update("1.0")
    box.power_fails(2)
    box.update("1.1")
    assert box.asked("watch").returncode == KILLED
    assert box.asked("watch").returncode == 3
    assert (box.links, box.on_trial) == (("1.0", ""), False)


def test_a_power_cut_while_it_goes_back_does_not_stop_that(box: Box) -> None:
    box.update("1.0")
    box.power_fails()
    assert box.update("1.1", "refuses") == KILLED, "1.1 is not even watched, 1.0 is"
    assert (box.links, box.on_trial) == (("1.0", ""), True)
    (box.root / "state").write_text("inactive\n")
    assert box.asked("watch").returncode == 3
    assert (box.links, box.on_trial, box.state) == (("1.0", ""), False, "active")


def test_a_power_cut_before_it_is_switched_leaves_the_version_that_runs(box: Box) -> None:
    box.update("1.0")
    (box.root / "opt/edgevoice/trial").write_text("1.1\n1.0\n\nyes\n")
    assert box.asked("watch").returncode == 0
    assert (box.links, box.on_trial, box.failure.exists()) == (("1.0", ""), False, False)


def test_a_power_cut_between_the_two_links_leaves_a_way_back(box: Box) -> None:
    box.update("1.0")
    box.update("1.1")
    folder = box.root / "opt/edgevoice"
    (folder / "trial").write_text("1.2\n1.1\n1.0\nyes\n")
    (folder / "previous").unlink()
    (folder / "previous").symlink_to("1.1")
    assert box.asked("watch").returncode == 0
    assert (box.links, box.on_trial) == (("1.1", "1.0"), False)


def test_what_failed_before_is_not_taken_for_what_fails_now(box: Box) -> None:
    box.update("1.0")
    box.update("1.1", "dies")
    (box.root / "bin/sync").write_text("#!/bin/sh\ncase $1 in -f) ;; *) kill -KILL $PPID ;; esac\n")
    assert box.update("1.1") == KILLED, "it is on trial, and not switched to"
    assert (box.links, box.on_trial) == (("1.0", ""), True)
    assert box.asked("watch").returncode == 0
    assert (box.links, box.on_trial, box.failure.exists()) == (("1.0", ""), False, False)


def test_an_update_that_was_killed_on_trial_is_not_what_the_next_one_goes_back_to(box: Box) -> None:
    """`dpkg --configure -a` tries it once more, and nobody has booted."""
    box.update("1.0")
    box.update("1.1")
    box.power_fails()
    assert box.update("1.2", "dies") == KILLED
    assert box.update("1.2", "dies") == 3
    assert (box.links, box.on_trial, box.state) == (("1.1", "1.0"), False, "active")
    assert box.failure.read_text().startswith("version 1.2-2 did not come up on ")


def test_a_fault_is_none_of_the_version_before_though_the_update_was_killed_twice(box: Box) -> None:
    box.update("1.0")
    for version in ("1.1", "1.1-2"):
        box.power_fails()
        assert box.update("1.1", "deaf") == KILLED
        assert (box.links, box.on_trial) == ((version, "1.0"), True)
    assert box.update("1.1", "deaf") == 3
    assert (box.links, box.on_trial) == (("1.0", ""), False)


def test_an_update_that_comes_up_after_one_that_was_killed_keeps_the_way_back(box: Box) -> None:
    box.update("1.0")
    box.power_fails()
    box.update("1.1", "refuses")
    box.while_it_is_watched()
    (box.root / "state").write_text("failed\n")
    assert box.update("1.1") == 0
    assert (box.links, box.on_trial, box.state) == (("1.1-2", "1.0"), False, "active")


def test_an_update_that_was_killed_on_its_way_back_has_stopped_the_service_not_somebody(box: Box) -> None:
    box.update("1.0")
    box.update("1.1")
    box.power_fails()
    assert box.update("1.2", "refuses") == KILLED, "1.1 is watched"
    (box.root / "state").write_text("inactive\n")
    assert box.update("1.2") == 0
    assert (box.links, box.state) == (("1.2-2", "1.1"), "active")


def test_a_service_that_somebody_has_stopped_after_a_kill_stays_so(box: Box) -> None:
    box.update("1.0")
    box.power_fails()
    box.update("1.1", "dies")
    (box.root / "state").write_text("inactive\n")
    assert box.update("1.1") == 0
    assert (box.links, box.on_trial, box.state) == (("1.1-2", "1.0"), False, "inactive")


def test_an_update_that_is_told_to_end_hands_its_trial_over(box: Box) -> None:
    """As `timeout apt` does."""
    box.update("1.0")
    box.while_it_is_watched(SHUT_DOWN)
    assert box.update("1.1", "dies") == TERMINATED
    assert "-q --no-block start edgevoice-trial.service" in (box.root / "asked").read_text().splitlines()
    assert box.asked("watch").returncode == 3, "that is what the unit does"
    assert (box.links, box.on_trial) == (("1.0", ""), False)


def test_a_service_that_somebody_stops_while_it_is_watched_is_no_version_that_failed(box: Box) -> None:
    box.update("1.0")
    box.while_it_is_watched(POWER_CUT, f"echo inactive >{box.root}/state")
    box.update("1.1")
    assert box.asked("watch").returncode == 0
    assert (box.links, box.state, box.failure.exists()) == (("1.1", "1.0"), "inactive", False)


def test_a_machine_that_is_shut_down_while_it_watches_watches_again(box: Box) -> None:
    box.update("1.0")
    box.while_it_is_watched(POWER_CUT, SHUT_DOWN)
    box.update("1.1")
    assert box.asked("watch").returncode == 0
    assert box.on_trial
    assert box.asked("watch").returncode == 0
    assert (box.links, box.on_trial) == (("1.1", "1.0"), False)


def test_it_goes_back_though_nobody_reads_what_it_says(box: Box) -> None:
    """As in `make install | tee`, when tee has gone."""
    box.update("1.0")
    box.update("1.1")
    reader, writer = os.pipe()
    os.close(reader)
    assert box.update("1.2", "dies", output=writer) == 3
    os.close(writer)
    assert box.links == ("1.1", "1.0")


def test_it_goes_back_though_that_cannot_be_noted(box: Box) -> None:
    box.update("1.0")
    box.failure.mkdir()
    box.power_fails()
    box.update("1.1", "dies")
    assert box.asked("watch").returncode == 3
    assert (box.links, box.on_trial) == (("1.0", ""), False)


def test_to_go_back_by_hand_waits_for_a_trial(box: Box) -> None:
    for version in ("0.9", "1.0", "1.1"):
        box.update(version)
    folder = box.root / "opt/edgevoice"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        back = box.begin("back")
        assert back.stderr is not None
        assert back.stderr.readline() == WAITS
        for name, version in (("current", "1.0"), ("previous", "0.9")):  # it has gone back
            (folder / name).unlink()
            (folder / name).symlink_to(version)
    back.communicate()
    assert back.returncode == 0
    assert box.links == ("0.9", "1.0")


def test_the_next_version_after_one_that_failed_is_tried(box: Box) -> None:
    box.update("1.0")
    box.update("1.1", "refuses")
    assert box.update("1.2") == 0
    assert box.links == ("1.2", "1.0")
    assert not box.failure.exists()


def test_the_first_version_stays_though_it_does_not_come_up(box: Box) -> None:
    assert box.update("1.0", "refuses") == 0
    assert box.links == ("1.0", "")


def test_an_update_does_not_start_what_its_owner_has_stopped(box: Box) -> None:
    box.update("1.0")
    (box.root / "state").write_text("inactive\n")
    assert box.update("1.1", "refuses") == 0
    assert box.links == ("1.1", "1.0")
    assert box.state == "inactive"


def test_an_update_that_mends_a_service_that_has_failed_starts_it(box: Box) -> None:
    box.update("1.0")
    (box.root / "state").write_text("failed\n")
    assert box.update("1.1") == 0
    assert (box.links, box.state) == (("1.1", "1.0"), "active")


def test_what_has_failed_is_no_reason_to_go_back_to_it(box: Box) -> None:
    box.update("1.0")
    (box.root / "state").write_text("failed\n")
    assert box.update("1.1", "refuses") == 0
    assert (box.links, box.on_trial, box.failure.exists()) == (("1.1", "1.0"), False, False)


def test_a_service_that_has_failed_and_is_disabled_is_left_so(box: Box) -> None:
    box.update("1.0")
    (box.root / "state").write_text("failed\n")
    (box.root / "disabled").touch()
    assert box.update("1.1") == 0
    assert (box.links, box.state) == (("1.1", "1.0"), "failed")


def test_a_unit_that_systemd_cannot_run_goes_with_its_version(box: Box) -> None:
    box.update("1.0", unit="the old unit\n")
    assert box.update("1.1", "refuses", unit="the new unit\n") == 3
    assert box.own_unit.read_text() == "the old unit\n", "it takes precedence over the package's"
    assert box.update("1.2", unit="a newer unit\n") == 0
    assert not box.own_unit.exists(), "the package's own is right again"


def test_a_unit_that_its_owner_wrote_is_left_alone(box: Box) -> None:
    box.update("1.0")
    box.own_unit.parent.mkdir(parents=True)
    box.own_unit.write_text("the owner's\n")
    box.update("1.1", unit="a new unit\n")
    box.update("1.2", "refuses", unit="a newer unit\n")
    assert box.own_unit.read_text() == "the owner's\n"


LONG = "# a unit of 6000 bytes\n" + "# because\n" * 600
FULL = "prlimit --fsize=4096"  # what is longer is cut off there, and its writer told


def test_a_unit_for_which_there_is_no_room_changes_nothing(box: Box) -> None:
    box.update("1.0", unit="the old unit\n", packaged=False)
    assert box.update("1.1", unit=LONG, packaged=False, within=FULL) != 0
    assert (box.links, box.on_trial, box.own_unit.read_text()) == (("1.0", ""), False, "the old unit\n")
    assert os.listdir(box.own_unit.parent) == ["edgevoice.service"]
    assert box.update("1.1", unit=LONG, packaged=False) == 0
    assert (box.links, box.own_unit.read_text()) == (("1.1", "1.0"), LONG)
    assert os.listdir(box.own_unit.parent) == ["edgevoice.service"]


def test_it_goes_back_though_there_is_no_room_for_its_unit(box: Box) -> None:
    box.update("1.0", unit=LONG)
    assert box.update("1.1", "refuses", unit="a short unit\n", within=FULL) == 3
    assert (box.links, box.on_trial, box.own_unit.exists()) == (("1.0", ""), False, False)


@pytest.mark.parametrize("length", [0, 4096])
def test_what_a_full_disk_has_left_of_a_unit_is_nobodys_own(box: Box, length: int) -> None:
    box.update("1.0", unit=LONG, packaged=False)
    box.own_unit.write_text(LONG[:length])
    assert box.update("1.1", unit=LONG, packaged=False) == 0
    assert box.own_unit.read_text() == LONG


def test_a_unit_that_its_owner_has_linked_is_left_alone(box: Box) -> None:
    """`systemctl mask` does that, too."""
    box.update("1.0", unit=LONG)
    box.own_unit.parent.mkdir(parents=True)
    (box.root / "own").write_text(LONG)
    box.own_unit.symlink_to(box.root / "own")
    assert box.update("1.1", unit=f"{LONG}# and more\n", packaged=False) == 0
    assert box.own_unit.readlink() == box.root / "own"


def test_one_can_go_back_and_forth_by_hand(box: Box) -> None:
    assert box.asked("back").returncode == 2
    box.update("1.0")
    box.update("1.1")
    assert box.asked("back").returncode == 0
    assert box.links == ("1.0", "1.1")
    assert box.asked("back").returncode == 0
    assert box.links == ("1.1", "1.0")


def test_the_same_version_again_stands_beside_itself(box: Box) -> None:
    box.update("1.0")
    box.update("1.0")
    assert box.links == ("1.0-2", "1.0")


def test_an_update_that_was_interrupted_leaves_nothing_in_the_way(box: Box) -> None:
    box.update("1.0")
    (box.root / "opt/edgevoice/1.1/bin").mkdir(parents=True)
    assert box.update("1.1") == 0
    assert box.links == ("1.1", "1.0")


def test_a_version_that_is_being_made_is_not_taken_for_what_is_left_of_one(box: Box) -> None:
    box.update("1.0")
    payload = box.root / "making"
    (payload / "bin").mkdir(parents=True)
    (payload / "behaves").write_text("well")
    (payload / "share").mkdir()
    (payload / "share/edgevoice.service").write_text("a unit\n")
    (payload / "bin/edgevoice").touch(mode=0o755)
    os.mkfifo(box.root / "goes_on")
    (payload / "bin/python").write_text(f"#!/bin/sh\necho made >&2; read -r _ <{box.root}/goes_on; exit 1\n")
    (payload / "bin/python").chmod(0o755)
    making = box.begin("add", str(payload), "1.1")
    assert making.stderr is not None
    assert making.stderr.readline() == "made\n", "and now it is to be compiled, for minutes on a small box"
    room = box.begin("room", "1.2")
    assert room.stderr is not None
    assert room.stderr.readline() == WAITS
    (box.root / "goes_on").write_text("\n")
    making.communicate()
    assert making.returncode == 0
    assert room.communicate()[0] == "1.2\n"
    assert box.links == ("1.1", "1.0")


def test_make_install_waits_before_it_makes_anything(box: Box, tmp_path: Path) -> None:
    box.update("1.0")
    python = tmp_path / "bin/python3"  # one that it asks for its version, and no more
    python.write_text("#!/bin/sh\necho True /usr\n")
    python.chmod(0o755)
    command = ["sh", str(ROOT / "packaging/install")]
    environment = os.environ | {"DESTDIR": str(box.root), "PYTHON": str(python)}
    with (box.root / "opt/edgevoice/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as installing:
            assert installing.stderr is not None
            told = installing.stderr.readline()
            installing.terminate()
    assert told == WAITS
    assert box.versions == {"1.0"}


def test_everybody_may_read_a_version_whatever_root_prefers(box: Box) -> None:
    """The service has a user of its own."""
    before = os.umask(0o077)
    try:
        box.update("1.0", unit="a unit\n", packaged=False)
    finally:
        os.umask(before)
    folder = box.root / "opt/edgevoice"
    made = [folder, *(folder / "1.0").rglob("*"), box.own_unit]
    made = [path for path in made if path.name != "behaves"]  # that is the test's
    assert [path for path in made if path.stat().st_mode & 0o044 != 0o044] == []
    assert [path for path in made if path.is_dir() and path.stat().st_mode & 0o011 != 0o011] == []


def test_what_could_not_be_removed_is_installed_anew(box: Box) -> None:
    """dpkg calls `postinst abort-remove`, and the package stays."""
    box.update("1.0")
    rm = box.root / "bin/rm"
    half = f"{box.root}/opt/edgevoice"
    rm.write_text(f'#!/bin/sh\ncase $* in *" {half}") /bin/rm -r {half}/1.0/bin; exit 1 ;; esac\nexec /bin/rm "$@"\n')
    rm.chmod(0o755)
    assert box.asked("remove").returncode == 1
    (box.root / "state").write_text("inactive\n")
    (box.root / "asked").write_text("")
    assert box.update("1.0") == 0
    assert (box.links, box.state) == (("1.0", ""), "active")
    assert f"--root={box.root} -q enable edgevoice.service" in (box.root / "asked").read_text()


def test_removed_is_removed(box: Box) -> None:
    box.update("1.0", unit="the old unit\n")
    box.update("1.1", "refuses", unit="the new unit\n")
    assert not box.on_trial
    assert box.asked("remove").returncode == 0
    assert not (box.root / "opt/edgevoice").exists()
    assert not box.own_unit.exists()
    assert "disable --now edgevoice.service" in (box.root / "asked").read_text()


@pytest.mark.parametrize("words", [[], ["sing"], ["activate"], ["add", "x"], ["back", "x"]])
def test_what_makes_no_sense_is_told_with_the_usage(box: Box, words: list[str]) -> None:
    done = box.asked(*words)
    assert done.returncode == 64
    assert "usage: release activate NAME" in done.stdout


def test_a_version_that_is_not_there_is_not_activated(box: Box) -> None:
    box.update("1.0")
    assert box.asked("activate", "2.0").returncode == 2
    assert box.links == ("1.0", "")
