"""Clients that meet a fault, one class each, and the process that lets one of them do so: run by bench_faults.py.

``python _fault_clients.py NAME`` reads questions as lines of JSON and answers each with one: what its user was left
with. It runs in the environment of the client, so it imports the standard library alone before it knows which.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import sys
import threading
import time
import traceback
from typing import Any

MODEL = "openai/gpt-5-mini"  # one whose price at OpenRouter the peers know
PROMPT = "Tell me what you received, please."
_KEY = "no-key"
_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_TOOL = {"type": "function", "function": {"name": "note", "description": "Keep a text.", "parameters": _SCHEMA}}
_CALLBACK_S = 2.0


class Client:
    """One way to ask.

    ``held`` is the text that its user has, also of a call that fails; ``cost`` is what the client says the call cost:
    an amount, None for not known, and "~" before an amount that it calls an estimate.
    """

    family: tuple[str, ...] = ()  # packages whose exceptions its documents name
    takes_limit = True  # whether a silence of so many seconds can be told to end a call
    takes_tool = True

    takes_pause = True  # whether code of the user's own runs between two pieces

    def __init__(self, url: str, limit_s: float | None, tool: bool, pause_s: float) -> None:
        self.url, self.limit_s, self.tool, self._pause_s = url, limit_s, tool, pause_s
        self.held: list[str] = []
        self.cost: str | None = None

    def ask(self) -> None:
        """Ask the question, keep what comes, and return when it is complete."""
        raise NotImplementedError

    def settle(self) -> None:
        """Find out what the call cost, as far as the client knows."""

    def show(self, text: str | None) -> None:
        """Keep a piece, and take the time that showing it takes."""
        self.held.append(text or "")
        if self._pause_s:
            time.sleep(self._pause_s)

    @property
    def _messages(self) -> list[dict[str, str]]:
        return [{"role": "user", "content": PROMPT}]


class OpenAI(Client):
    """The loop of openai's documents, with usage asked for."""

    family = ("openai",)

    def ask(self) -> None:
        import openai

        limit = {} if self.limit_s is None else {"timeout": self.limit_s}
        client = openai.OpenAI(base_url=self.url, api_key=_KEY, **limit)
        more: dict[str, Any] = {"tools": [_TOOL]} if self.tool else {}
        arguments = ""
        stream = client.chat.completions.create(
            model=MODEL, messages=self._messages, stream=True, stream_options={"include_usage": True}, **more
        )
        for chunk in stream:
            if chunk.usage:
                self.cost = _text((chunk.usage.model_extra or {}).get("cost"))
            for choice in chunk.choices:
                self.show(choice.delta.content)
                arguments += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or [])
        if self.tool:
            json.loads(arguments)  # as everybody has to do next


class LiteLLM(Client):
    """litellm's stream, and its documented callback for the cost; without the collector, which can lock its pool."""

    family = ("litellm", "openai")
    takes_tool = False  # needs a package that its plain installation lacks

    def ask(self) -> None:
        import litellm

        gc.disable()
        litellm.suppress_debug_info = True
        self._told = threading.Event()
        litellm.success_callback = [self._keep]
        more: dict[str, Any] = {} if self.limit_s is None else {"timeout": self.limit_s}
        for chunk in litellm.completion(
            f"openrouter/{MODEL}", messages=self._messages, stream=True, api_base=self.url, api_key=_KEY, **more
        ):
            for choice in chunk.choices:
                self.show(choice.delta.content)

    def _keep(self, told: dict[str, Any], *_: object) -> None:
        if told.get("complete_streaming_response") is not None:  # it is called for every chunk as well
            self.cost = _text(told.get("response_cost"))
            self._told.set()

    def settle(self) -> None:
        if self.held:
            self._told.wait(_CALLBACK_S)


class Chatlas(Client):
    """chatlas's stream, and its ``get_cost``."""

    family = ("chatlas", "openai")

    def ask(self) -> None:
        import chatlas

        kwargs: Any = {} if self.limit_s is None else {"timeout": self.limit_s}
        self._chat = chatlas.ChatOpenRouter(model=MODEL, base_url=self.url, api_key=_KEY, kwargs=kwargs)
        if self.tool:

            def note(text: str) -> str:
                """Keep a text."""
                return text

            self._chat.register_tool(note)
        for text in self._chat.stream(PROMPT, echo="none"):
            self.show(str(text))

    def settle(self) -> None:
        with contextlib.suppress(Exception):  # that it does not know is told by raising
            self.cost = _text(self._chat.get_cost())


class LLM(Client):
    """llm's Python API: iterate the response; it counts tokens and no money."""

    family = ("llm", "openai")
    takes_limit = False

    def ask(self) -> None:
        import llm
        from llm.default_plugins.openai_models import Chat

        model = Chat("faults", key=_KEY, model_name=MODEL, api_base=self.url, supports_tools=True)
        if not self.tool:
            for text in model.prompt(PROMPT):
                self.show(text)
            return

        def note(text: str) -> str:
            """Keep a text."""
            return text

        for text in model.chain(PROMPT, tools=[llm.Tool.function(note)]):
            self.show(text)


class JupyterAI(Client):
    """jupyter-ai 3's cell magic, in a shell of its own; it does not stream and counts nothing."""

    family = ("jupyter_ai", "jupyter_ai_magic_commands", "litellm", "openai")
    takes_limit = False
    takes_tool = False
    takes_pause = False

    def ask(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell.instance()
        os.environ["OPENROUTER_API_KEY"] = _KEY
        if "AiMagics" not in shell.magics_manager.registry:
            shell.run_line_magic("load_ext", "jupyter_ai_magic_commands")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            shell.run_line_magic("ai", "reset")
            with contextlib.suppress(Exception):  # there is none at first
                shell.run_line_magic("ai", "dealias faulty")
            shell.run_line_magic("ai", f"alias faulty openrouter/{MODEL} --api-base {self.url}")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
            done = shell.run_cell(f"%%ai faulty\n{PROMPT}")
        if done.error_in_exec or done.error_before_exec:
            raise done.error_in_exec or done.error_before_exec
        shown = done.result
        if shown is None or (isinstance(shown, str) and shown.startswith("Error calling language model")):
            raise PrintedError(str(shown or told.getvalue()))
        self.held.append(getattr(shown, "data", None) or getattr(shown, "text", "") or "")


class PrintedError(Exception):
    """The cell printed an error and went on as if nothing had happened."""


class OrMagic(Client):
    """``Session.ask``, ``Session.stream`` where pieces are shown, and the tracker's total after ``reconcile``."""

    family = ("or_magic",)
    takes_tool = False  # to come

    def ask(self) -> None:
        import or_magic
        from or_magic.errors import CallError
        from or_magic.values import Timeouts

        limit = {} if self.limit_s is None else {"timeouts": Timeouts(self.limit_s, self.limit_s, self.limit_s, 60.0)}
        self._session = or_magic.connect(base_url=self.url, model=MODEL, **limit)
        self._before = self._session.tracker.total()
        if self._pause_s:
            with self._session.stream(PROMPT) as stream:
                for event in stream:
                    self.show(str(event))
            return
        try:
            self.held.append(self._session.ask(PROMPT).text)
        except CallError as error:
            self.held.append(error.reply.text if error.reply else "")
            raise

    def settle(self) -> None:
        self._session.reconcile()
        told, before = self._session.tracker.total(), self._before
        billed = told.billed_usd - before.billed_usd
        if told.unknown_calls == before.unknown_calls:
            estimated = told.estimated_usd - before.estimated_usd
            self.cost = f"~{billed + estimated}" if estimated else str(billed)
        self._session.close()


CLIENTS: dict[str, type[Client]] = {
    "openai": OpenAI,
    "litellm": LiteLLM,
    "chatlas": Chatlas,
    "llm": LLM,
    "jupyter_ai_3": JupyterAI,
    "or_magic": OrMagic,
}


def _text(amount: object) -> str | None:
    return None if amount is None else str(amount)


def met(client: Client) -> dict[str, Any]:
    """Let a client ask, and return what its user is left with."""
    error: BaseException | None = None
    began = time.perf_counter()
    try:
        client.ask()
    except BaseException as raised:  # KeyboardInterrupt is one of those that are looked for
        error = raised
        # A notebook keeps the last error, and with it every frame that it passed.
        sys.last_type, sys.last_value, sys.last_traceback = type(raised), raised, raised.__traceback__
    took_s = time.perf_counter() - began
    interrupted = isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CallInterruptedError"
    if not interrupted:
        client.settle()
    return {
        "text": "".join(client.held),
        "cost": client.cost,
        "took_s": took_s,
        "error": type(error).__name__ if error else None,
        "module": type(error).__module__ if error else None,
        "interrupted": interrupted,
        "typed": bool(error) and any(type(error).__module__.split(".")[0] == name for name in client.family),
        "message": str(error)[:300] if error else "",
        "where": "".join(traceback.format_tb(error.__traceback__)[-1:]).strip()[:200] if error else "",
    }


def main() -> None:
    """Meet one fault for each line of standard input."""
    made = CLIENTS[sys.argv[1]]
    out, sys.stdout = sys.stdout, sys.stderr  # what a client prints is no answer
    kept: list[Client] = []  # a notebook's names live on
    for line in sys.stdin:
        asked = json.loads(line)
        client = made(asked["url"], asked["limit_s"], asked["tool"], asked["pause_s"])
        kept.append(client)
        print(json.dumps(met(client), default=str), file=out, flush=True)


if __name__ == "__main__":
    main()
