"""Two workers on this machine."""

import json
import os
import socket
import subprocess


def start_two(command):
    """Starts a command twice, with the variable by which the processes find each other.

    Args:
        command: words.

    Returns:
        The two processes, the chief first.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return [start(command, addresses, index) for index in range(2)]


def start(command, addresses=(), index=0):
    """Starts a command, as a worker if there are addresses."""
    cluster = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return subprocess.Popen(
        [*map(str, command)],
        env=os.environ | ({"TF_CONFIG": json.dumps(cluster)} if addresses else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end_of(process):
    """Waits; returns the exit status and what was printed."""
    output, _ = process.communicate(timeout=900)
    return process.returncode, output
