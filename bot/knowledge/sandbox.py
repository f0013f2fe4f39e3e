"""Isolation of the converter's process on Linux: code that a file has smuggled in reaches nothing but its own memory.

Four layers, each where the kernel has it:

- Landlock: no file but the code of Python and of the libraries can be read, none written or run, no TCP, and no signal to
  other processes.
- seccomp: only system calls that reading, computing and memory need. No socket, no new process, no tracing.
- namespaces: a network of its own, without any interface, and as an ordinary user also no rights in the outer system.
- capabilities: none of root's rights, where the bot runs as root, but to read what others can't: the program may be theirs.

The first two close everything; the others help if one of these has a fault. The process can't take any of
it back. The numbers come from the kernel's headers and are the same on all architectures.
"""

import ctypes
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import bot
from bot.core.process import libc

# Shared libraries, time zones, and the fonts that PDF files refer to. Nothing of it is secret.
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/fonts",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/dev/null",
    "/dev/urandom",
)
_PR_SET_NO_NEW_PRIVS = 38

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000

_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _CLEAR_ALL = 24, 47, 4
_CAPABILITIES_VERSION = 0x20080522
_READ_AND_SEARCH = 1 << 2  # CAP_DAC_READ_SEARCH
_MOST_CAPABILITIES = 64

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULESET_VERSION = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# By the version of Landlock that brought them: reading, writing, making, removing and running files; moving them; cutting
# them off; controlling devices.
_FILE_RIGHTS = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_NETWORK_RIGHTS = ((4, 0b11),)  # to bind and to connect TCP
_SCOPES = ((6, 0b11),)  # abstract sockets, and signals

_ALLOW, _ENOSYS = 0x7FFF0000, 0x00050000 | 38
_EQUAL, _MASKED_EQUAL = 4, 7
_CLONE_THREAD = 0x00010000
# What isn't here doesn't exist for the process, as in an old kernel, so that libraries use what came before it.
_CALLS = """
    access brk clock_getres clock_gettime clock_nanosleep close close_range dup dup2 dup3 exit exit_group faccessat faccessat2
    fadvise64 fcntl fstat fstatfs futex getcpu getcwd getdents getdents64 getegid geteuid getgid getitimer getpid getppid
    getrandom getrlimit getrusage gettid gettimeofday getuid ioctl lseek lstat madvise membarrier mmap mprotect mremap munmap
    nanosleep newfstatat open openat pipe2 poll ppoll pread64 preadv pselect6 read readlink readlinkat readv restart_syscall
    rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield select set_robust_list setitimer
    sigaltstack stat statfs statx sysinfo time times uname write writev
""".split()


@dataclass(frozen=True, slots=True)
class Isolation:
    """The layers that are `active`, and those that are `missing`, each with its reason."""

    active: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether other files, other processes and the network are out of reach."""
        return {"landlock", "seccomp"} <= set(self.active)

    def __str__(self) -> str:
        """`landlock, seccomp; missing: namespaces (Operation not permitted)`."""
        missing = ", ".join(f"{name} ({reason})" for name, reason in self.missing.items())
        return "; missing: ".join(filter(None, (", ".join(self.active), missing)))


def confine() -> Isolation:
    """Confine this process, which must have no other thread, with all layers that the machine has."""
    if sys.platform != "linux":
        return Isolation(missing=dict.fromkeys(_LAYERS, "only on Linux"))
    active: list[str] = []
    missing: dict[str, str] = {}
    libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # the kernel asks for it before it lets anybody confine himself
    for name, layer in _LAYERS.items():
        try:
            layer()
        except OSError as error:
            missing[name] = error.strerror or str(error)
        else:
            active.append(name)
    return Isolation(tuple(active), missing)


def _separate() -> None:
    wanted = _CLONE_NEWNET | _CLONE_NEWIPC
    # As root, a user namespace would take away the right to read other users' files, and the program may be one of them.
    _require(libc().unshare(wanted if os.geteuid() == 0 else wanted | _CLONE_NEWUSER))


def _drop_capabilities() -> None:
    """Give up root's rights, also for programs that this process might start. Landlock takes away those of reading."""
    prctl = libc().prctl
    for capability in range(_MOST_CAPABILITIES):
        if prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:  # there are no more, or this process has no right to
            break
    prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    left = _READ_AND_SEARCH if os.geteuid() == 0 else 0
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    # Effective, permitted and inheritable: first the lower halves of all three, then the upper ones.
    sets = (ctypes.c_uint32 * 6)(left, left, 0, 0, 0, 0)
    if libc().capset(header, sets) < 0:  # root in a container may lack even that one
        _require(libc().capset(header, (ctypes.c_uint32 * 6)()))


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _restrict_files() -> None:
    call = libc().syscall
    version = _require(call(_CREATE_RULESET, None, ctypes.c_size_t(0), _RULESET_VERSION))
    files, network, scopes = (
        sum(rights for since, rights in known if since <= version) for known in (_FILE_RIGHTS, _NETWORK_RIGHTS, _SCOPES)
    )
    ruleset = _Ruleset(files, network, scopes)
    # Older kernels refuse a longer description than they know.
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _require(call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0))
    try:
        for path in readable():
            _let_read(path, rules)
        _require(call(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _let_read(path: Path, rules: int) -> None:
    with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _PathBeneath(_READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE, opened)
            _require(libc().syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0))
        finally:
            os.close(opened)


def readable() -> Iterator[Path]:
    """Yield the folders and files of the code and its data.

    The folder that the program was started from with its source isn't among them, only the program's package: settings with
    tokens often lie there.
    """
    package = Path(bot.__file__).parent
    yield package
    yield from map(Path, _SYSTEM)
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    yield from map(Path, {*installed, *site.getsitepackages()})
    yield from (Path(entry) for entry in sys.path if entry and not (Path(entry) / package.name).is_dir())


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def _filter_calls() -> None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise OSError(0, "install libseccomp") from error
    library.seccomp_init.restype = ctypes.c_void_p
    calls = ctypes.c_void_p(library.seccomp_init(_ENOSYS))
    if not calls:
        raise OSError(0, "libseccomp doesn't start")

    def allow(name: str, *comparisons: _Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        conditions = (_Comparison * len(comparisons))(*comparisons)
        # Negative numbers are calls that this architecture doesn't have.
        if number >= 0:
            _require_zero(library.seccomp_rule_add_array(calls, _ALLOW, number, len(comparisons), conditions))

    try:
        for name in _CALLS:
            allow(name)
        allow("clone", _Comparison(0, _MASKED_EQUAL, _CLONE_THREAD, _CLONE_THREAD))
        for name in ("kill", "tgkill"):  # how a process ends itself, as C libraries do
            allow(name, _Comparison(0, _EQUAL, os.getpid()))
        allow("prlimit64", _Comparison(0, _EQUAL, 0), _Comparison(2, _EQUAL, 0))  # asks, and sets nothing
        _require_zero(library.seccomp_load(calls))
    finally:
        library.seccomp_release(calls)


def _require(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _require_zero(result: int) -> None:
    """Check a result of libseccomp, which is zero or a negative error number."""
    if result:
        raise OSError(-result, os.strerror(-result))


_LAYERS: Mapping[str, Callable[[], None]] = {
    "namespaces": _separate,
    "capabilities": _drop_capabilities,
    "landlock": _restrict_files,
    "seccomp": _filter_calls,
}
