"""``%config OpenRouterMagics``: the settings of this kernel's session as traits; a key is none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from traitlets import TraitError, Unicode, validate
from traitlets.config import Config, Configurable

NAMES = ("model", "base_url", "app_url", "app_name", "context_policy")
_KEY_NAMES = ("key", "api_key")


class OpenRouterMagics(Configurable):
    """Settings of ``%%openrouter``; they win over the environment, ``.env`` and the config file."""

    model = Unicode(help="The model asked when a cell names none: vendor/name, or an alias. Empty: not set here.").tag(
        config=True
    )
    base_url = Unicode(
        help="The gateway's address, or the word offline for the simulator. Empty: not set here. "
        "Another address begins a new session."
    ).tag(config=True)
    app_url = Unicode(help="How OpenRouter's rankings link to what you make. Empty: not set here.").tag(config=True)
    app_name = Unicode(help="How OpenRouter's rankings name what you make. Empty: not set here.").tag(config=True)

    context_policy = Unicode(
        help="What happens to a conversation that is longer than the model reads: error, drop-oldest or compress. "
        "Empty: not set here."
    ).tag(config=True)

    def __init__(self, parent: Any, set_settings: Callable[[Mapping[str, str | None]], None]) -> None:
        self._set: Callable[[Mapping[str, str | None]], None] | None = None
        super().__init__(parent=parent)
        self._set = set_settings
        # What ipython_config.py says is there before anybody asks; without it nothing of ours needs to load.
        self._applied: dict[str, str | None] = {name: getattr(self, name) or None for name in NAMES}
        if any(self._applied.values()):
            set_settings(self._applied)

    def follow(self, settings: Mapping[str, str | None]) -> None:
        """Show what was chosen in another way."""
        self._applied |= settings
        for name, value in settings.items():
            setattr(self, name, value or "")

    @validate(*NAMES)
    def _accept(self, proposal: Any) -> str:
        """Apply a value, or refuse it: a trait never says what the session does not do."""
        from ..errors import OrMagicError

        name, value = proposal["trait"].name, proposal["value"].strip() or None
        # Compared with what is in force: traitlets sets a trait from a config before it asks whether it may.
        if self._set is not None and value != self._applied[name]:
            try:
                self._set({name: value})
            except OrMagicError as error:
                raise TraitError(str(error)) from None
            self._applied[name] = value
        return value or ""

    def _load_config(self, cfg: Config, *args: Any, **kwargs: Any) -> None:
        mine = self._find_my_config(cfg)
        if any(name in mine for name in _KEY_NAMES):
            from ..secrets import WHERE_KEYS_GO

            del mine  # verbose tracebacks print the locals of this frame
            raise TraitError(f"A key is no setting: it would stand in notebooks and in history. {WHERE_KEYS_GO}")
        if told := [name for name in mine if name.endswith(("_budget", "_budgets"))]:
            # traitlets would warn, once: a budget that is silently none would be the worst of all.
            raise TraitError(
                f"{told[0]} is not set here, and holds nothing up: use %or budget, or orm.tracker.budget()."
            )
        super()._load_config(cfg, *args, **kwargs)
