"""Ways to show a streamed answer in a cell: ours, the plain ones on our own stream, and the peers'. Text only."""

from __future__ import annotations

from typing import NamedTuple

MODEL = "openai/gpt-4o-mini"


class Way(NamedTuple):
    """One way: the cell that prepares a kernel for it, the cell that asks ``{prompt}``, who installs it."""

    label: str
    prepare: str
    ask: str
    peer: str = ""
    grows: bool = True  # whether the answer is shown while it comes
    watched: bool = True
    lab: bool = False  # whether the kernel takes its front end for JupyterLab

    def cell(self, prompt: str) -> str:
        """Return the cell that asks this."""
        return self.ask.format(prompt=prompt, model=MODEL)


_OURS = f"""
%load_ext or_magic
import time, or_magic as orm
from IPython.display import Markdown, display
from or_magic.content import Text
from or_magic.events import Piece

def texts(prompt):
    with orm.stream(prompt, model={MODEL!r}) as stream:
        for event in stream:
            if isinstance(event, Piece) and isinstance(event.part, Text):
                yield event.part.text

def print_each(prompt):
    for text in texts(prompt):
        print(text, end="", flush=True)

def update_each(prompt, every_s=0.0):
    text, shown_at, handle = "", 0.0, display(Markdown(""), display_id=True)
    for piece in texts(prompt):
        text += piece
        if time.monotonic() - shown_at >= every_s:
            handle.update(Markdown(text))
            shown_at = time.monotonic()
    handle.update(Markdown(text))
"""
_CHATLAS = f"""
from chatlas import ChatOpenRouter
import os
chat = ChatOpenRouter(model={MODEL!r}, base_url=os.environ["OPENAI_BASE_URL"], api_key="no-key")
"""
_CHATLAB = """
import os
from chatlab import Chat
"""
_LISETTE = """
import gc
from lisette import Chat
from lisette.core import display_stream
gc.disable()  # its streams are left to the collector, which may close one while their pool is locked
"""

_CELL = "%%or {model}\n{prompt}"

WAYS: dict[str, Way] = {
    "ours": Way("**`%%or`**", _OURS, _CELL),
    "ours_lab": Way("**`%%or`** in JupyterLab", _OURS, _CELL, lab=True),
    "ours_unseen": Way("**`%%or`**, nobody looks", _OURS, _CELL, grows=False, watched=False),
    "ours_line": Way("**`%or ask`** among other lines", _OURS, "_r = 1\n%or ask {prompt}"),
    "nothing": Way("nothing shown", _OURS, "_r = orm.ask({prompt!r}, model={model!r})", grows=False),
    "end": Way(
        "one display at the end",
        _OURS,
        'display({{"text/markdown": orm.ask({prompt!r}, model={model!r}).text}}, raw=True)',
        grows=False,
    ),
    "print": Way("print per chunk, flush", _OURS, "print_each({prompt!r})"),
    "update": Way("Markdown(whole) per chunk", _OURS, "update_each({prompt!r})"),
    "update_20": Way("Markdown(whole) at 20 Hz", _OURS, "update_each({prompt!r}, 0.05)"),
    "chatlas": Way("chatlas", _CHATLAS, "chat.set_turns([]); _r = chat.chat({prompt!r})", "chatlas"),
    "chatlab": Way("chatlab", _CHATLAB, "await Chat(base_url=os.environ['OPENAI_BASE_URL'])({prompt!r})", "chatlab"),
    "genai": Way("genai", "%load_ext genai", "%%assist --fresh\n{prompt}", "genai"),
    "lisette": Way(
        "lisette", _LISETTE, "display_stream(Chat('openai/gpt-4o-mini')({prompt!r}, stream=True));", "lisette"
    ),
    "jupyter_ai_3": Way(
        "jupyter-ai 3",
        "%load_ext jupyter_ai_magic_commands",
        "%%ai openai/gpt-4o-mini\n{prompt}",
        "jupyter_ai_3",
        grows=False,
    ),
}
