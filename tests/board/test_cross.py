"""The `cross` route, as far as it goes without a container engine: the real
`cross` with cross.toml, and a stand-in engine that writes down its arguments."""
import os
import pathlib
import shutil

import pytest

from boards import ROOT, run

ENGINE = """#!/bin/sh
# A container engine that only writes down what it is asked.
[ "$1" != --help ] || { echo "Docker, as far as cross can tell"; exit 0; }
printf '%s\\n' "--- call" "$@" >>"$ENGINE_LOG"
"""

# What `cross` asks of rustup: a nightly tool chain of the host's, with std's source.
RUSTUP = """#!/bin/sh
case "$*" in
    *"toolchain list"*) echo "nightly-x86_64-unknown-linux-gnu (default)" ;;
    *"target list"*) echo "x86_64-unknown-linux-gnu (installed)" ;;
    *"component list"*) echo "rust-src (installed)" ;;
esac
"""


# What cargo says when crates.io is out of reach, and nothing else is wrong.
OUT_OF_REACH = ("could not find `cross`", "resolve host", "connect", "timed out", "network", "download")


def cross():
    """`cross` as it is installed, else from crates.io into target/tools, once."""
    found = shutil.which("cross") or ROOT / "target/tools/bin/cross"
    if not pathlib.Path(found).exists():
        done = run(ROOT / "tests/cargo", "install", "cross", "--version", "0.2.5", "--locked",
                   "--root", "target/tools", cwd=ROOT, timeout=1_200)
        errors = done.stderr[done.stderr.find("error:"):].strip()
        if done.returncode and any(word in errors.lower() for word in OUT_OF_REACH):
            pytest.skip(f"cross cannot be fetched from crates.io: {errors.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Both builds asked of `cross`: the engine's calls for each."""
    program = cross()
    place = tmp_path_factory.mktemp("cross")
    (place / "bin").mkdir()
    for name, text in (("engine", ENGINE), ("rustup", RUSTUP)):
        (place / "bin" / name).write_text(text)
        (place / "bin" / name).chmod(0o755)
    found = {}
    for target in ("gnueabi", "musleabi"):
        log = place / f"{target}.log"
        environment = dict(os.environ, PATH=f"{place}/bin:{os.environ['PATH']}",
                           CROSS_CONTAINER_ENGINE=str(place / "bin/engine"),
                           CROSS_CONFIG="cross.toml", ENGINE_LOG=str(log),
                           CARGO_TARGET_DIR=str(place / "target"),
                           CARGO_PROFILE_FIRMWARE_STRIP="none")
        done = run(program, "+nightly", "build", "--profile", "firmware", "--locked",
                   "--target", f"armv5te-unknown-linux-{target}", cwd=ROOT, env=environment)
        assert log.exists(), done.stdout + done.stderr
        found[target] = [call.split("\n") for call in log.read_text().split("--- call\n")[1:]]
    return found


def the_run(calls):
    runs = [call for call in calls if call[0] == "run"]
    assert len(runs) == 1, calls
    return runs[0]


def command(call):
    """The command line inside the container, its quotes removed."""
    return call[call.index("-c") + 1].replace('"', "")


@pytest.mark.parametrize("target", ["gnueabi", "musleabi"])
def test_target_and_standard_library(calls, target):
    inside = command(the_run(calls[target]))
    assert f"--target armv5te-unknown-linux-{target}" in inside
    assert "-Zbuild-std" in inside
    assert "--profile firmware" in inside


@pytest.mark.parametrize("target, linker", [("gnueabi", "gcc-arm926"),
                                            ("musleabi", "zig-arm920t")])
def test_image_and_linker(calls, target, linker):
    call = the_run(calls[target])
    variable = (f"CARGO_TARGET_ARMV5TE_UNKNOWN_LINUX_{target.upper()}_LINKER="
                f"board/tools/{linker}")
    assert call[call.index(variable) - 1] == "-e"
    image = "ghcr.io/cross-rs/armv5te-unknown-linux-gnueabi:0.2.5"
    assert (image in call) == (target == "gnueabi"), "the other one has an image of its own"


def test_armv4t_has_zig_in_its_image(calls):
    builds = [call for call in calls["musleabi"] if "build" in call[:2]]
    assert len(builds) == 1, calls["musleabi"]
    text = pathlib.Path(builds[0][builds[0].index("--file") + 1]).read_text()
    assert "FROM ghcr.io/cross-rs/armv5te-unknown-linux-musleabi:0.2.5" in text
    assert "ziglang==0.17.0" in " ".join(builds[0]) + text


@pytest.mark.parametrize("target", ["gnueabi", "musleabi"])
def test_the_size_settings_reach_the_container(calls, target):
    call = the_run(calls[target])
    assert call[call.index("CARGO_PROFILE_FIRMWARE_STRIP") - 1] == "-e"
