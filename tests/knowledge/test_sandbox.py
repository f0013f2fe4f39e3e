"""Code that a file has smuggled into the converter's process: what it tries fails."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.core.errors import DocumentError
from bot.knowledge.converter import Converter, Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox stands on Linux")
SOURCE = Path(__file__).parent.parent.parent
ALL = ("namespaces", "capabilities", "landlock", "seccomp")


@contextmanager
def taken_over(*layers: str) -> Iterator[Converter]:
    """A converter whose process runs what it is given, confined by these layers."""
    with pytest.MonkeyPatch.context() as patched:
        start = f"import sys, hostile_loader; hostile_loader.main(int(sys.argv[1]), {json.dumps(json.dumps(layers))})"
        patched.setattr("bot.knowledge.converter._MAIN", start)
        with Converter(Limits(seconds=20, memory_bytes=512 * 2**20)) as converter:
            if missing := converter.isolation.missing:
                pytest.skip(f"this machine lacks {missing}")
            yield converter


@pytest.fixture(scope="module")
def confined() -> Iterator[Converter]:
    with taken_over(*ALL) as converter:
        yield converter


def attack(converter: Converter, code: str, secret: Path | None = None, port: int = 9) -> str:
    """The code's `got`, or how it was refused. It knows the path of a secret file, the port of a server, and our source."""
    known = {"secret": str(secret), "folder": str(secret and secret.parent), "port": port, "source": str(SOURCE)}
    beginning = "import os, socket\n" + "".join(f"{name} = {value!r}\n" for name, value in known.items())
    try:
        return converter.read("a.attack", (beginning + code).encode()).title
    except DocumentError as error:
        return str(error)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "bot.toml"
    file.write_text("token = 'secret'")
    file.chmod(0o644)
    return file


LIBC = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
FAILED = "\nif got == -1: raise OSError(ctypes.get_errno(), 'refused')"
FILES = {
    "the environment of the bot": "got = open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "its memory": "got = open(f'/proc/{os.getppid()}/mem', 'rb')",
    "which processes run": "got = os.listdir('/proc')",
    "another file": "got = open(secret).read()",
    "what is in a folder": "got = os.listdir(folder)",
    "a file of the system": "got = open('/etc/passwd').read()",
    "a new file": "got = open(folder + '/new', 'w')",
    "a file cut off": "got = os.truncate(secret, 0)",
    "a file removed": "got = os.unlink(secret)",
    "a file renamed": "got = os.rename(secret, secret + '2')",
    "a link": "got = os.symlink('/etc/passwd', folder + '/link')",
    "the settings beside the program": "got = open(source + '/pyproject.toml').read()",
    "another program": "got = os.execv('/bin/true', ['true'])",
}
NETWORK = {
    "a connection": "got = socket.create_connection(('127.0.0.1', port), 2)",
    "a datagram": "got = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))",
    "a socket of this machine": "got = socket.socket(socket.AF_UNIX)",
    "a server": "got = socket.create_server(('127.0.0.1', 0))",
    "the kernel's messages": "got = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
}
PROCESSES = {
    "a copy of itself": "got = os.fork()",
    "a child": "import subprocess; got = subprocess.run(['/bin/true'])",
    "a signal to the bot": "got = os.kill(os.getppid(), 0)",
    "tracing the bot": f"{LIBC}got = libc.ptrace(16, os.getppid(), 0, 0){FAILED}",
    "reading the bot's memory": f"{LIBC}got = libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0){FAILED}",
    "a handle on the bot": "got = os.pidfd_open(os.getppid())",
    "calls by another way": f"{LIBC}got = libc.syscall(425, 1, bytes(200)){FAILED}",
    "another namespace": f"{LIBC}got = libc.unshare(0x10000000){FAILED}",
    "a keyring": f"{LIBC}got = libc.syscall(250, 0, -3, 1){FAILED}",
    "higher limits": "import resource; got = resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))",
    "a program in memory": "got = os.memfd_create('x')",
}


@pytest.mark.parametrize("what", [*FILES, *NETWORK, *PROCESSES])
def test_code_in_the_converter_gets_nothing(confined, secret, what):
    """Of the files, the network and the processes of the machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = (FILES | NETWORK | PROCESSES)[what]
        assert attack(confined, code, secret, server.getsockname()[1]).startswith("refused: ")
    assert secret.read_text() == "token = 'secret'"
    assert list(secret.parent.iterdir()) == [secret]


def test_one_layer_makes_up_for_another(secret):
    """Landlock alone closes files and TCP; the calls alone close network and processes; namespaces alone the network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with taken_over("landlock") as converter:
            for what in (*FILES.values(), NETWORK["a connection"]):
                assert attack(converter, what, secret, port).startswith("refused: ")
        with taken_over("seccomp") as converter:
            for what in (NETWORK | PROCESSES).values():
                assert attack(converter, what, secret, port).startswith("refused: ")
        with taken_over("namespaces") as converter:
            assert attack(converter, NETWORK["a connection"], secret, port).startswith("refused: ")
        with taken_over() as converter:  # so that what the others refuse would otherwise have worked
            assert "token" in attack(converter, FILES["another file"], secret)
            assert "socket" in attack(converter, NETWORK["a connection"], secret, port)
            assert "PATH" in attack(converter, FILES["the environment of the bot"])


RIGHTS = """
import ctypes
header, found = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capget(header, found) == 0
bounding = [number for number in range(64) if ctypes.CDLL(None).prctl(23, number, 0, 0, 0) == 1]
got = [*found], bounding"""
AS_ROOT = {
    "a file given to another user": "got = os.chown(folder, 65534, 65534)",
    "another user's identity": "got = os.setuid(65534)",
    "a port of the system": "got = socket.create_server(('127.0.0.1', 81))",
    "another root": "got = os.chroot(folder)",
    "a file of another user changed": "got = open(secret, 'a')",
    "another user's process ended": "got = os.kill(OTHER, 0)",
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has such rights")
@pytest.mark.parametrize("what", AS_ROOT)
def test_root_in_the_converter_has_no_rights_of_root(secret, what):
    """With nothing but this layer, and it would work without."""
    os.chown(secret, 65534, 65534)
    secret.chmod(0o600)
    other = subprocess.Popen(["sleep", "100"], user=65534)  # noqa: S607
    try:
        code = f"OTHER = {other.pid}\n{AS_ROOT[what]}"
        with taken_over("capabilities") as converter:
            assert attack(converter, code, secret).startswith("refused: PermissionError")
        with taken_over() as converter:
            assert not attack(converter, code, secret).startswith("refused: ")
    finally:
        other.kill()
        other.wait()


def test_of_roots_rights_only_reading_is_left():
    """Which Landlock takes away; and nothing can get others back."""
    with taken_over("capabilities") as converter:
        found = attack(converter, RIGHTS)
    if os.geteuid() == 0:
        assert found == str(([4, 4, 0, 0, 0, 0], []))
    else:
        assert found.startswith(f"({[0] * 6}, ")


def test_the_converter_starts_without_the_bots_variables(confined, monkeypatch):
    """So that there is nothing to find in its own memory either."""
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    with taken_over(*ALL) as converter:
        assert "TOKEN" not in attack(converter, "got = sorted(os.environ)")
        assert "PATH" in attack(converter, "got = sorted(os.environ)")


REPLIES = {
    "endless": "b'9' * 100_000_000",
    "far too large": "b'999999999999\\n'",
    "malformed": "b'6\\n[[[[1]'",
    "another type": "b'23\\n' + b'{\"document\": [[[[1]]]]}'",
}


@pytest.mark.parametrize("reply", REPLIES)
def test_what_a_taken_over_converter_sends_is_checked(confined, reply):
    """It ends in a refusal, and the next file is read."""
    write = f"""
for descriptor in range(3, 9):
    try:
        os.write(descriptor, {REPLIES[reply]})
    except OSError:
        pass
os._exit(0)"""
    assert "the reader has failed" in attack(confined, write)
    assert attack(confined, "got = 1") == "1"
