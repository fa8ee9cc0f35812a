"""Keys with the real program, on this machine's loopback."""

import json
import os

import pytest

import lab
import messages


@pytest.fixture
def keys(tmp_path):
    """Two key files."""
    place = lab.Place()
    paths = [tmp_path / name for name in ("key", "other")]
    for path in paths:
        made = place.run("keygen", path)
        assert (made.code, made.stdout, made.stderr) == (0, "", "")
    return paths


def test_keygen_makes_a_file_that_its_owner_alone_can_read(keys):
    assert os.stat(keys[0]).st_mode & 0o7777 == 0o600
    assert keys[0].read_text() != keys[1].read_text()
    again = lab.Place().run("keygen", keys[0])
    assert again.code == 4
    assert "never overwritten" in again.stderr
    assert lab.Place().run("keygen").code == 2


def test_a_key_file_that_others_can_read_is_refused(keys):
    os.chmod(keys[0], 0o640)
    for command in ("serve", "whois", "vote"):
        run = lab.Place().run(command, "--key-file", keys[0])
        assert run.code == 4, command
        assert "chmod 600" in run.stderr
        assert keys[0].read_text().split()[-1] not in run.stderr, "no key in a message"


def master(place, *options):
    run = place.run("whois", *place.options, "--timeout", "300ms", *options, place.port)
    return run.code, run.stdout.strip()


def test_whois_tells_verified_unsigned_and_forged(loopback, keys):
    loopback.board(2, "--key-file", keys[0])
    # Without failover there is a master only after an election.
    held = loopback.run("vote", "--interface", "lo", "--key-file", keys[0], loopback.port)
    assert held.code == 0, held.stderr
    assert held.stdout.splitlines()[-1] == "B2 on board 127.0.0.2 is the master (verified)"
    text = "B2 on board 127.0.0.2 is the master"
    assert master(loopback) == (0, text)
    assert master(loopback, "--key-file", keys[0]) == (0, f"{text} (verified)")
    assert master(loopback, "--key-file", keys[1]) == (1, f"{text} (unsigned)")
    code, line = master(loopback, "--key-file", keys[0], "--json")
    assert code == 0 and json.loads(line)["proof"] == "verified"


def test_an_unsigned_master_is_no_master_to_who_has_a_key(loopback, keys):
    loopback.board(2)
    assert loopback.run("vote", "--interface", "lo", loopback.port).code == 0
    assert master(loopback)[0] == 0
    assert master(loopback, "--key-file", keys[0])[0] == 1


def test_who_has_no_key_calls_no_election(loopback, keys):
    loopback.board(2, "--key-file", keys[0])
    client = loopback.client()
    client.send(messages.VOTE, "127.0.0.2", loopback.port)
    client.send(messages.make_vote("127.0.0.9", 10), "127.0.0.2", loopback.port)
    assert not [one for one in client.gather(0.3) if messages.vote(one[0])]
    wrong = loopback.run("vote", "--interface", "lo", "--key-file", keys[1], loopback.port)
    assert wrong.code == 1
    assert "has this key" in wrong.stderr
    client.close()


def test_a_key_is_changed_board_by_board(loopback, keys, tmp_path):
    """Old; old and new; new and old; new: each step works with the next one."""
    old, new = (path.read_text() for path in keys)
    steps = []
    for name, text in (("1", old), ("2", old + new), ("3", new + old), ("4", new)):
        steps.append(tmp_path / name)
        steps[-1].write_text(text)
        steps[-1].chmod(0o600)
    for before, after in zip(steps, steps[1:]):
        loopback.board(2, "--key-file", before)
        loopback.board(3, "--key-file", after)
        for client in (before, after):
            held = loopback.run("vote", "--interface", "lo", "--key-file", client, "--json",
                                loopback.port)
            assert held.code == 0, held.stderr
            found = [json.loads(line) for line in held.stdout.splitlines()]
            assert found[-1]["proof"] == "verified"
            assert {one["address"] for one in found[:-1]} == {"127.0.0.2", "127.0.0.3"}
        loopback.close()
