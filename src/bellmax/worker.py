"""A process that trains the seeds it is given: `python -m bellmax.worker`. See `bellmax.processes`."""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

from bellmax.compilation import use_cache
from bellmax.display import Facts
from bellmax.plan import planned
from bellmax.processes import say
from bellmax.runs import RunFolder
from bellmax.sitting import carry_out


class _Teller:
    """A display that passes everything on to the parent."""

    def start(self, facts: Facts) -> None: ...
    def compiling(self) -> None: ...
    def compiled(self, seconds: float) -> None: ...
    def finish(self, summary: Mapping[str, Any]) -> None: ...

    def row(self, row: Mapping[str, Any]) -> None:
        say(sys.stdout, {"event": "row", **row})

    def evaluation(self, row: Mapping[str, Any]) -> None:
        say(sys.stdout, {"event": "evaluation", **row})

    def note(self, text: str) -> None:
        say(sys.stdout, {"event": "note", "text": text})


def work() -> None:
    """The life of a worker."""
    use_cache()
    first = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, args=(first["parent"],), daemon=True).start()
    env, kind = pickle.loads(base64.b64decode(first["env"]))
    for line in sys.stdin:
        folder = RunFolder.open(json.loads(line)["folder"])
        try:
            carry_out(planned(folder.config, kind, env), folder, _Teller())
        except KeyboardInterrupt:
            return
        except Exception:
            say(sys.stdout, {"event": "failed", "folder": str(folder.path), "traceback": traceback.format_exc()})
            return
        say(sys.stdout, {"event": "done"})


def _watch(parent: int) -> None:
    """Leave when the parent has gone, however it went."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    work()
