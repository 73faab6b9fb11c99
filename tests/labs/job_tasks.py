"""Tasks that the tests of `Job` run in a child process."""

import os
import time


def echo(link, request):
    """Post what was asked, then every control that comes."""
    link.post("frame", request)
    while True:
        controls = link.controls(wait=1.0)
        if controls is not None:
            link.post("frame", controls)


def count(link, request):
    """Many messages at once, then the end."""
    for i in range(request):
        link.post("frame", i)


def refuse(link, request):
    raise ValueError("the box is too small: use a larger one")


def fault(link, request):
    return {}["missing"]


def vanish(link, request):
    os._exit(7)


def sleep(link, request):
    time.sleep(600)


def environment(link, request):
    link.post("frame", {"nice": os.nice(0), "flags": os.environ["XLA_FLAGS"], "pid": os.getpid()})
