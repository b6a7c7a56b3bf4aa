"""A Python that has imported the program already, for tests that start it as a process of its own.

`start(folder)` returns a path that is called as `sys.executable` is: `python -m gan train`, with any environment,
folder and open files. It has a server fork a process that does what Python would do, with the files of the caller. It
passes signals on to that process, ends as it ends, and takes it along when it is killed. What the process starts in
turn with its `sys.executable` is as warm. Only the imports differ from a Python started afresh: `WARM` is there before,
and for workers of pytest, whose server is started by such a path, the tests that each of them collects.
"""

import array
import contextlib
import json
import os
import signal
import socket
import sys

WARM = (
    *("gan.cli.commands", "gan.cli.mistakes", "gan.config", "gan.train.command", "hydra.main", "matplotlib.pyplot"),
    *("fastapi", "limits", "sklearn.datasets", "uvicorn"),
)
LIFELINE, RUN = b"L", b"R"  # what a connection begins with
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
MOST_FILES = 200


def possible(folder):
    return sys.platform == "linux" and len(str(folder)) <= 90  # the address of a socket is short


def start(folder, python=None, tests=()):
    """The path of the executable, and a connection: the server ends when the last of them is closed.

    With paths in `tests` it has pytest collect these before it forks; `python` starts it, by default Python itself.

    Raises:
        RuntimeError: the server has ended, such as for a test that cannot be imported.
    """
    import subprocess
    import time

    from filelock import FileLock

    folder.mkdir(exist_ok=True)
    path, address = folder / "python", str(folder / "socket")
    with FileLock(folder / "lock"):
        if not os.path.exists(address):
            path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" "{address}" "$@"\n')
            path.chmod(0o755)
            own = f"import sys; sys.path[0] = {os.path.dirname(__file__)!r}; import warm_python"
            code = f"{own}; warm_python.finish(warm_python.serve{(address, str(path), *tests)})"
            command, quiet = [python or sys.executable, "-c", code], subprocess.DEVNULL
            server = subprocess.Popen(command, stdin=quiet, stdout=quiet, process_group=0)
            while not os.path.exists(address):
                if server.poll() is not None:
                    raise RuntimeError("the server of warm processes has ended")
                time.sleep(0.05)
        lifeline = connect(address)
        lifeline.sendall(LIFELINE)
    return str(path), lifeline


def connect(address):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    return connection


def ask(address, *arguments):
    """Has the server run Python with these arguments, and ends as that process does."""
    files = [number for number in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{number}")]
    connection = connect(address)
    ignored = [number for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN]
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
    asked = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    text = json.dumps({**asked, "files": files, "ignored": ignored}).encode()
    connection.sendall(RUN)
    connection.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
    connection.sendall(len(text).to_bytes(4, "big") + text)
    for number in files:
        os.close(number)  # the process alone holds them now
    status = int(connection.recv(16))
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def serve(address, executable, *tests):
    """Forks a process for each connection that asks for one. In those it returns, with the arguments for Python."""
    import gc
    import importlib
    import multiprocessing
    import select

    import speedups
    from tiny_runs import TINY

    before = [path for path in sys.path[1:] if path not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    speedups.apply()
    gc.disable()
    for name in WARM:
        importlib.import_module(name)
    compose = sys.modules["gan.config"].compose
    for command in sys.modules["gan.cli.commands"].COMMANDS:
        compose(command)
    compose("train", TINY)
    if tests:
        pytest = importlib.import_module("pytest")
        code = pytest.main(["--collect-only", "-qq", "-n", "0", "-p", "no:cacheprovider", *tests])
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            sys.exit(1)  # what was imported in part would hide the error from the workers
        importlib.import_module("wandb.sdk.launch")  # a second of imports for the first run that W&B tracks
    gc.freeze()
    gc.enable()
    sys.executable = executable
    multiprocessing.set_executable(executable)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    os.rename(f"{address}.new", address)
    lifelines = []
    while True:
        readable, _, _ = select.select([listener, *lifelines], [], [])
        for ended in set(readable) - {listener}:
            lifelines.remove(ended)
            if not lifelines:
                with contextlib.suppress(FileNotFoundError):  # its folder is deleted already
                    os.unlink(address)
                os._exit(0)
        if listener in readable:
            connection, _ = listener.accept()
            if connection.recv(1) == LIFELINE:
                lifelines.append(connection)
            elif os.fork() == 0:
                for each in (listener, *lifelines):
                    each.close()
                return keep(connection, before)
            else:
                connection.close()


def keep(connection, path):
    """Forks the process and tells the caller how it ended. In the process it returns, with the arguments for Python."""
    import threading

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, ((_, _, numbers),), _, _ = connection.recvmsg(1, socket.CMSG_SPACE(4 * MOST_FILES))
    files = array.array("i", numbers)
    with connection.makefile("rb") as read:
        asked = json.loads(read.read(int.from_bytes(read.read(4), "big")))
    process = os.fork()
    if process == 0:
        connection.close()
        return become(asked, files, path)
    for number in files:
        os.close(number)

    def pass_on():
        with contextlib.suppress(ProcessLookupError):  # it has ended just now
            with contextlib.suppress(ConnectionError):  # the caller was killed
                while number := connection.recv(1):
                    os.kill(process, number[0])
            os.kill(process, signal.SIGKILL)

    threading.Thread(target=pass_on, daemon=True).start()
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(ConnectionError):  # the caller was killed
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def become(asked, files, path):
    """Takes over the files, environment, folder and ignored signals of the caller; returns the arguments for Python."""
    import fcntl

    import numpy as np
    import torch

    held = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 2 * MOST_FILES) for number in files]
    for number in files:
        os.close(number)
    for number, own in zip(asked["files"], held, strict=True):
        os.dup2(own, number)
        os.close(own)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        setattr(sys, name, open(number, mode, buffering=1, encoding="utf-8", closefd=False))  # noqa: SIM115
    for number in PASSED_ON:
        unhandled = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in asked["ignored"] else unhandled)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[:] = [os.getcwd(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *path]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    np.random.seed()
    return asked["arguments"]


def run(arguments):
    """Does what Python does with `-m module` or `-c code`. The options before these change no outcome."""
    import runpy
    import types

    while arguments[:1] in (["-u"], ["-B"]):
        arguments = arguments[1:]
    kind, what, *rest = arguments
    if kind == "-m":
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv, sys.path[0] = [kind, *rest], ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
    else:
        raise SystemExit(f"{arguments}: not a line that a warm Python understands")


def finish(arguments):
    """Ends as Python does, without taking the modules apart: that would copy the memory shared with the server."""
    import atexit
    import threading

    code = 0
    try:
        run(arguments)
    except SystemExit as ended:
        code = ended.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    ask(*sys.argv[1:])
