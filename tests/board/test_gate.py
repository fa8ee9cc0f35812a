"""The release gate: each build is of the architecture of its boards, to the
last instruction, and runs on their CPU. The build for the younger core is the
negative control: the gate must see it fail."""
import re

import pytest

from boards import ROOT, run

# What ARMv4T does not have: mnemonics, before a condition and a width suffix.
YOUNGER = re.compile(
    r"^(blx|clz|ldrd|strd|pld|smul[bt][bt]|smla[bt][bt]|smulw[bt]|smlaw[bt]|smlal[bt][bt]"
    r"|qadd|qsub|qdadd|qdsub|bkpt|mrrc|mcrr|ldrex[bdh]?|strex[bdh]?|rev(16|sh)?"
    r"|[us]xt[bh]|[us]xta[bh]|movw|movt|dmb|dsb|isb|mls|ubfx|sbfx|bfi|bfc|udiv|sdiv|v[a-z]+)"
    r"(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?2?(\.[a-z0-9]+)*$")


def mnemonics(program):
    """The disassembled instructions of a program that has its mapping symbols."""
    text = run("arm-linux-gnueabi-objdump", "-d", program).stdout
    lines = (line.split("\t") for line in text.splitlines())
    # ADDRESS: \t WORD \t MNEMONIC \t OPERANDS; data is shown as .word
    return [fields[2].strip() for fields in lines
            if len(fields) >= 3 and not fields[2].startswith(".")]


def younger(program):
    return sorted({word for word in mnemonics(program) if YOUNGER.match(word)})


def architecture(program):
    text = run("arm-linux-gnueabi-readelf", "-A", program).stdout
    return re.search(r"Tag_CPU_arch: (\S+)", text)[1]


def on_cpu(firmware, build, cpu):
    return run("qemu-arm", "-L", "/usr/arm-linux-gnueabi", "-cpu", cpu,
               firmware / build / "boardroom", "--version")


@pytest.mark.parametrize("build, expected", [("armv4t", "v4T"), ("armv5te", "v5TE")])
def test_the_file_states_its_architecture(firmware, build, expected):
    assert architecture(firmware / build / "boardroom.debug") == expected


def test_no_younger_instruction_in_armv4t(firmware):
    program = firmware / "armv4t/boardroom.debug"
    assert len(mnemonics(program)) > 5000, "the disassembly is that of a whole program"
    assert younger(program) == []


def test_no_return_that_loses_the_kind_of_code(firmware):
    """Thumb code and ARM code call each other; on ARMv4T a return by loading the
    program counter stays in the kind it is in."""
    text = run("arm-linux-gnueabi-objdump", "-d", firmware / "armv4t/boardroom.debug").stdout
    loads = re.findall(r"\t(?:pop|ldm\w*)\S*\s[^\n]*\bpc\b.*", text)
    assert loads == []


def test_negative_control_the_gate_sees_younger_instructions(firmware):
    assert "blx" in younger(firmware / "armv5te/boardroom.debug")


def test_the_stripped_file_is_the_same_link(firmware):
    """What is shipped has the very code that the gate has read."""
    for build in ("armv4t", "armv5te"):
        sections = []
        for name in ("boardroom", "boardroom.debug"):
            run("arm-linux-gnueabi-objcopy", "-O", "binary", "--only-section=.text",
                firmware / build / name, firmware / f"{build}-{name}.text")
            sections.append((firmware / f"{build}-{name}.text").read_bytes())
            (firmware / f"{build}-{name}.text").unlink()
        assert sections[0] == sections[1] != b""


@pytest.mark.parametrize("build, cpu", [("armv4t", "ti925t"), ("armv4t", "arm926"),
                                        ("armv5te", "arm926")])
def test_it_runs_on_its_cpu(firmware, build, cpu):
    done = on_cpu(firmware, build, cpu)
    assert (done.returncode, done.stdout[:10]) == (0, "boardroom "), done.stderr


def test_negative_control_armv5te_dies_on_an_armv4t_cpu(firmware):
    done = on_cpu(firmware, "armv5te", "ti925t")
    assert done.returncode != 0
    assert "Illegal instruction" in done.stderr


def test_armv4t_is_static(firmware):
    text = run("arm-linux-gnueabi-readelf", "-ld", firmware / "armv4t/boardroom").stdout
    assert "INTERP" not in text and "NEEDED" not in text


def test_armv5te_needs_the_c_library_alone(firmware):
    """Debian's own boards have libgcc_s, others need not."""
    text = run("arm-linux-gnueabi-readelf", "-d", firmware / "armv5te/boardroom").stdout
    assert set(re.findall(r"NEEDED.*\[(.*)\]", text)) <= {"libc.so.6", "ld-linux.so.3"}


def test_the_checksum_fits(firmware):
    for build in ("armv4t", "armv5te"):
        done = run("sha256sum", "-c", "boardroom.sha256", cwd=firmware / build)
        assert done.returncode == 0, done.stdout


def test_the_size_is_as_recorded(firmware):
    done = run(ROOT / "board/tools/size", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_growth_over_the_record_fails(firmware, tmp_path):
    """Negative control: in a copy of the tree whose record is 10 % lower."""
    copy = tmp_path / "tree"
    (copy / "board/tools").mkdir(parents=True)
    (copy / "board/tools/size").write_bytes((ROOT / "board/tools/size").read_bytes())
    (copy / "target").symlink_to(ROOT / "target")
    sizes = {b: (firmware / b / "boardroom").stat().st_size for b in ("armv4t", "armv5te")}
    (copy / "board/size.txt").write_text(
        "".join(f"{build} {int(size * 0.9)}\n" for build, size in sizes.items()))
    done = run("/usr/bin/python3", copy / "board/tools/size", "--check")
    assert done.returncode == 1
    assert "grown by more than 5%" in done.stderr
