"""The pictures: every transcript can be drawn, and what is drawn is what was told."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SVG = "{http://www.w3.org/2000/svg}"

STORY = """\
     0.000 10.0.0.2 log: this board is 10.0.0.2
     0.000 client -> all: VOTE\\n
     0.000   lost between client and 10.0.0.3
     0.050 10.0.0.2 -> all: # 10.0.0.2 7 [epoch 1 fresh]
     0.100 10.0.0.3 -> 10.0.0.2: # 10.0.0.3 5 [epoch 1]
   100.050 10.0.0.2 is master (10.0.0.2 with vote 7)
   500.000 10.0.0.2 is killed
"""

RECORD = """\
boardroom-record 1
config port=2000 strict=no answer=unicast name=Peter
turn 81234567
network 10.3.52.2 10.3.52.255
turn 81334567
datagram 10.3.52.9:5000 564f54450a
random 7
sent 10.3.52.255:2000 2320
"""


def draw(text, *options):
    done = subprocess.run([sys.executable, HERE / "story.py", *options], input=text,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ET.fromstring(done.stdout)


def of_class(picture, name):
    return [one for one in picture.iter() if name in (one.get("class") or "").split()]


def test_a_story_is_drawn_as_it_was_told():
    picture = draw(STORY)
    assert [one.text for one in of_class(picture, "name")[1:]] == ["client", "10.0.0.2", "10.0.0.3"]
    # VOTE to one board, the vote to the other, the answer back.
    assert len(of_class(picture, "sent")) == 3
    assert len(of_class(picture, "lost")) == len(of_class(picture, "cross")) == 1
    assert len(of_class(picture, "master")) == 1
    words = [one.text for one in picture.iter(f"{SVG}text")]
    assert "vote 7, round 1" in words and "killed" in words


def test_a_boards_own_record_is_drawn_too():
    picture = draw(RECORD)
    names = [one.text for one in of_class(picture, "name")[1:]]
    assert names == ["10.3.52.2", "10.3.52.9"]
    assert len(of_class(picture, "sent")) == 2


def test_a_span_knows_who_was_master_before_it():
    assert len(of_class(draw(STORY, "--from", "300"), "master")) == 1


@pytest.mark.parametrize("transcript", sorted(path.name for path in (ROOT / "tests/transcripts").glob("*.txt")))
def test_every_transcript_can_be_drawn(transcript):
    text = (ROOT / "tests/transcripts" / transcript).read_text()
    picture = draw(text, "--title", transcript)
    sent = sum(" -> " in line for line in text.splitlines())
    assert sent == 0 or of_class(picture, "sent") or of_class(picture, "lost")
    if " is master" in text:
        assert of_class(picture, "master")


def test_nothing_to_draw_is_said():
    done = subprocess.run([sys.executable, HERE / "story.py"], input="", capture_output=True, text=True)
    assert done.returncode == 1 and "no events" in done.stderr


@pytest.mark.parametrize("picture", sorted(path.name for path in (ROOT / "docs/pictures").glob("*.svg")))
def test_the_pictures_of_the_documentation_are_pictures(picture):
    root = ET.parse(ROOT / "docs/pictures" / picture).getroot()
    assert root.tag == f"{SVG}svg" and "prefers-color-scheme" in ET.tostring(root, "unicode")
