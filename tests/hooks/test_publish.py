"""The hooks that publish the master, with a real mosquitto and a real etcd."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lan")]

import lab  # noqa: E402

HOOKS = ROOT / "board/hooks"


def needs(*programs):
    missing = [name for name in programs if not (shutil.which(name) or Path("/usr/sbin", name).exists())]
    return pytest.mark.skipif(bool(missing), reason=f"not here: {' '.join(missing)}")


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def place():
    made = lab.Loopback()
    yield made
    made.close()


def boards(place, hook, settings):
    """Three boards with failover whose hook publishes; {address: process}."""
    env = {**os.environ, "PUBLISH_SETTINGS": str(settings)}
    found = {}
    for number in (2, 3, 4):
        address = f"127.0.0.{number}"
        found[address] = place.start(
            [lab.program(), "serve", place.port, "--interface", "lo", "--address", address,
             "--name", f"B{number}", "--interval", "100ms", "--patience", "1s", "--on-change", HOOKS / hook], env=env)
    return found


def follows_the_master(place, hook, settings, told):
    """`told()` names the master, before and after its end; then nobody, once all are gone."""
    group = boards(place, hook, settings)
    first = lab.wait_for(told, what="the first master")["address"]
    group[first].signal(signal.SIGKILL)
    second = lab.wait_for(lambda: (t := told()) and t["address"] != first and t, what="the second")
    assert second["address"] in group and second["epoch"] > 0
    group[second["address"]].stop()
    third = lab.wait_for(lambda: (t := told()) and t["address"] not in (first, second["address"]) and t,
                         what="the third, by hand-over")
    return group, third["address"]


@needs("mosquitto", "mosquitto_sub", "mosquitto_pub")
def test_mqtt_retains_the_present_master(place, tmp_path):
    port = lab.free_port()
    (tmp_path / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    place.start([broker, "-c", tmp_path / "conf"])
    lab.wait_for(lambda: listens(port), what="the broker")
    settings = tmp_path / "settings"
    settings.write_text(f"MQTT_HOST=127.0.0.1 MQTT_PORT={port}\n")

    def told():
        out = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-C", "1", "-W", "5",
                              "-t", "boardroom/master"], capture_output=True, text=True).stdout
        return json.loads(out) if out.strip() else None

    follows_the_master(place, "publish-mqtt", settings, told)


@needs("etcd", "etcdctl")
def test_etcd_holds_the_present_master_and_forgets_a_dead_one(place, tmp_path):
    client = lab.free_port()
    peer = client + 1
    url = f"http://127.0.0.1:{client}"
    place.start(["etcd", "--data-dir", tmp_path / "etcd", "--listen-client-urls", url,
                 "--advertise-client-urls", url, "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                 "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                 "--initial-cluster", f"default=http://127.0.0.1:{peer}"])
    lab.wait_for(lambda: listens(client), what="etcd")
    settings = tmp_path / "settings"
    settings.write_text(f"ETCD_ENDPOINTS=127.0.0.1:{client} ETCD_TTL=4 RUN_FOLDER={tmp_path}\n")
    env = {**os.environ, "ETCDCTL_API": "3"}

    def told():
        out = subprocess.run(["etcdctl", "--endpoints", f"127.0.0.1:{client}", "get",
                              "--print-value-only", "/boardroom/master"],
                             capture_output=True, text=True, env=env).stdout
        return json.loads(out) if out.strip() else None

    group, last = follows_the_master(place, "publish-etcd", settings, told)
    # The lease is renewed: it outlives its time.
    time.sleep(6)
    assert told()["address"] == last
    group[last].kill()
    lab.wait_for(lambda: told() is None, what="the key's end")


@pytest.mark.parametrize("hook", sorted(path.name for path in HOOKS.iterdir()))
def test_a_wrong_call_says_how(hook):
    done = subprocess.run([HOOKS / hook, "king"], capture_output=True, text=True)
    assert done.returncode == 2 and "Usage:" in done.stderr


@needs("shellcheck")
def test_the_hooks_are_plain_posix_sh():
    done = subprocess.run(["shellcheck", "--shell=sh", *HOOKS.iterdir()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
