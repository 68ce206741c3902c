"""The report as one page of HTML: no scripts, nothing from elsewhere, every text inert, by day and by night. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from .. import neutral
from ..values import dollars, from_pico
from .report import BY, Figures, Group, Report, cost, counted, decimals, exact, label, remarks, tokens

# How the file begins: by this an older report is known when a new one takes its place.
MARK = "<!doctype html>\n<!-- or_magic report -->\n"
_MOST_ROWS = 200
_TITLES = {"cell": "By cell", "model": "By model", "tag": "By tag"}
_NOTE = (
    "Counted are the answers that cells show now. What was asked from Python code, and what an earlier run of a cell "
    "cost, is in the ledger only."
)
_STYLE = """
:root { color-scheme: light dark; --page: #fbfaf8; --card: #fff; --ink: #1f2328; --soft: #6a6f76; --line: #e7e4df;
  --bar: #3b76c4; --sim: #a9a39a; --warn: #8a5a00; --warnbg: #fdf5e2; }
@media (prefers-color-scheme: dark) { :root { --page: #16181c; --card: #1d2025; --ink: #e6e4e0; --soft: #9a9ea6;
  --line: #2e3239; --bar: #6ea3e8; --sim: #6d6a66; --warn: #f0c674; --warnbg: #2b2618; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
h1 { font-size: 1.05rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: .95rem; font-weight: 600; margin: 2.5rem 0 .5rem; }
p { margin: .25rem 0; } .soft, footer { color: var(--soft); font-size: .87rem; }
.sums { display: flex; flex-wrap: wrap; gap: 1rem 3.5rem; margin: 2rem 0 1.5rem; }
.sums b { display: block; font-size: 2.1rem; line-height: 1.2; font-weight: 600; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.sums .sim b { color: var(--soft); }
.warn { background: var(--warnbg); color: var(--warn); border-radius: .5rem; padding: .6rem .9rem; margin: .5rem 0; }
table { width: 100%; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; border-spacing: 0; border-collapse: separate; overflow: hidden; }
th { font-size: .8rem; font-weight: 500; color: var(--soft); text-align: left; white-space: nowrap; }
th, td { padding: .5rem .9rem; } tbody td { border-top: 1px solid var(--line); vertical-align: baseline; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.name { width: 31%; overflow-wrap: anywhere; } .none { color: var(--soft); font-style: italic; }
.chip { font-size: .75rem; color: var(--soft); border: 1px solid var(--line); border-radius: 1rem; padding: 0 .5rem;
  margin-left: .5rem; white-space: nowrap; }
.chart { width: 22%; } .cost { width: 19%; } .answers { width: 10%; } .tokens { width: 18%; }
.chart svg { display: block; width: 100%; height: .55rem; }
.bar { fill: var(--bar); } .sim .bar { fill: var(--sim); } .sim .n { color: var(--soft); }
footer { margin-top: 2.5rem; }
@media (max-width: 40rem) { .chart, .answers { display: none; } .cost, .tokens { width: 28%; }
  .name { width: auto; } th, td { padding: .45rem .6rem; } }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --soft: #555; --line: #ccc;
  --bar: #3b76c4; --sim: #aaa; --warn: #000; --warnbg: #fff; } main { padding: 0; max-width: none; }
  tr, .sums { break-inside: avoid; } h2 { break-after: avoid; } body { font-size: 10pt; }
  svg { print-color-adjust: exact; } }
"""


def page(told: Report, made_at: datetime) -> str:
    """Return the page; ``made_at`` stands in its last line, in its own time zone."""
    title = neutral.line(", ".join(told.names))[:300] or "What these answers cost"
    return "\n".join(
        [
            f'{MARK}<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)} · spend</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            "<header>",
            f"<h1>{_text(title)}</h1>",
            '<p class="soft">What the answers cost</p>',
            "</header>",
            *_sums(told),
            *[f'<p class="warn">{_text(sentence)}</p>' for sentence in _warnings(told)],
            *[line for by in BY[1:] + BY[:1] for line in _section(told, by)],
            f"<footer><p>{_text(_NOTE if told.names else '')}</p>",
            f"<p>Made by or_magic on {made_at:%Y-%m-%d at %H:%M %Z}. Amounts are exact.</p></footer>",
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _sums(told: Report) -> Iterator[str]:
    real, simulated = told.real, told.simulated
    yield '<div class="sums">'
    if real.calls or not simulated.calls:
        yield from _sum(real, "billed" if not real.estimated_pico else "billed and estimated", "real")
    if simulated.calls:
        yield from _sum(simulated, "simulated: no real money", "sim")
    yield "</div>"


def _sum(told: Figures, what: str, kind: str) -> Iterator[str]:
    places = max(4, len(exact(told.pico).partition(".")[2]))
    words = [what, counted(told.calls, "answer")]
    if (read := tokens(told)) != "?":
        words.append(f"{read} tokens")
    yield f'<div class="{kind}"><b>{_text(cost(told, places))}</b><p class="soft">{_text(" · ".join(words))}</p></div>'


def _warnings(told: Report) -> Iterator[str]:
    for figures, whose in ((told.real, ""), (told.simulated, " of the simulator")):
        if figures.unknown_calls:
            yield (
                f"The cost of {counted(figures.unknown_calls, 'answer')}{whose} is not known: "
                "the sum without it is a lower bound."
            )
        if figures.estimated_pico:
            part = dollars(from_pico(figures.estimated_pico), decimals([Group(None, figures)]))
            yield f"{part} of the sum is estimated (~)."
    yield from remarks(told)


def _section(told: Report, by: str) -> Iterator[str]:
    groups = told.groups(by)
    if not groups or (by == "tag" and all(group.label is None for group in groups)):
        return
    shown = _dearest(groups)
    digits = decimals(shown)
    # Simulated money is none: its bars have a scale of their own.
    most = {kind: max([1, *[g.figures.pico for g in shown if g.figures.simulated is kind]]) for kind in (False, True)}
    yield f"<section><h2>{_TITLES[by]}</h2>"
    yield (
        f'<table><thead><tr><th class="name">{by.capitalize()}</th><th class="chart"></th><th class="n cost">Cost</th>'
        '<th class="n answers">Answers</th><th class="n tokens">Tokens</th></tr></thead><tbody>'
    )
    for group in shown:
        yield _row(group, by, digits, most[group.figures.simulated])
    yield "</tbody></table>"
    if left := len(groups) - len(shown):
        yield f'<p class="soft">and {left:,} more, none of them dearer; the CSV file has every answer.</p>'
    yield "</section>"


def _row(group: Group, by: str, digits: int, most: int) -> str:
    figures = group.figures
    kind = "sim" if figures.simulated else "real"
    name = f'<td class="name{"" if group.label else " none"}">{_text(label(group, by))}'
    chip = '<span class="chip">simulated</span>' if figures.simulated else ""
    width = f"{figures.pico * 100 / most:.2f}"
    chart = f'<svg viewBox="0 0 100 8" preserveAspectRatio="none"><rect class="bar" width="{width}" height="8"/></svg>'
    numbers = {"cost": cost(figures, digits), "answers": f"{figures.calls:,}", "tokens": tokens(figures)}
    cells = "".join([f'<td class="n {column}">{_text(number)}</td>' for column, number in numbers.items()])
    return f'<tr class="{kind}">{name}{chip}</td><td class="chart">{chart}</td>{cells}</tr>'


def _dearest(groups: Sequence[Group]) -> list[Group]:
    """Return the groups, in their order, or the dearest of very many."""
    if len(groups) <= _MOST_ROWS:
        return list(groups)
    order = sorted(range(len(groups)), key=lambda place: -groups[place].figures.pico)[:_MOST_ROWS]
    return [groups[place] for place in sorted(order)]


def _text(text: str) -> str:
    return escape(neutral.line(text))
