// What JupyterLab makes of Markdown outputs: its own handling of formulas around marked.
// Usage: node marked.mjs FOLDER-OF-MARKED; each line of input is a JSON list of texts, each of output a list of HTML.

import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2]);
const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const { Marked, Renderer } = await import(pathToFileURL(join(folder, about.main)).href);

const renderer = new Renderer();
// The highlighted code replaces the block, and the info string goes into the attribute as it is.
renderer.code = ({ text, lang }) => `<pre><code class="language-${lang ?? ""}">${escape(text)}</code></pre>\n`;
const marked = new Marked({ gfm: true, renderer });

function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// Tokens between which formulas are looked for; a "tick" token is what the author already wrote as a placeholder.
const TOKEN = /(\$\$?|\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|[{}]|(?:\n\s*)+|@@\d+@@|\\\\[()[\]])/i;
const FENCED = /^(?<mark>`{3,}|(?:~T){3,})[^`\n]*\n(?:[\s\S]*?)^\k<mark>`*$/gm;
const SPAN = /(^|[^\\])(`+)([^\n]*?[^`\n])\2(?!`)/gm;

function hideDollars(text) {
  const hide = (code) => code.replaceAll("$", "~D");
  return text.replaceAll("~", "~T").replace(FENCED, hide).replace(SPAN, hide);
}

const showDollars = (text) => text.replace(/~([TD])/g, (_, kind) => (kind === "T" ? "~" : "$"));

function takeFormulas(source) {
  const coded = /`|~~~/.test(source);
  const show = coded ? showDollars : (text) => text;
  const tokens = (coded ? hideDollars(source) : source).replace(/\r\n?/g, "\n").split(TOKEN);
  const formulas = [];
  let start = null;
  let closer = null;
  let last = null;
  let braces = 0;
  const forget = () => {
    start = closer = last = null;
  };
  const take = (first, final) => {
    const formula = escape(tokens.slice(first, final + 1).join(""));
    tokens.fill("", first, final + 1);
    tokens[first] = `@@${formulas.length}@@`;
    formulas.push(show(formula));
  };
  for (let place = 1; place < tokens.length; place += 2) {
    const token = tokens[place];
    if (token.startsWith("@")) {
      tokens[place] = `@@${formulas.length}@@`;
      formulas.push(token);
    } else if (start !== null) {
      if (token === closer) {
        if (braces) {
          last = place;
        } else {
          take(start, place);
          forget();
        }
      } else if (/\n.*\n/.test(token)) {
        if (last !== null) {
          place = last;
          take(start, place);
        }
        forget();
        braces = 0;
      } else if (token === "{") {
        braces += 1;
      } else if (token === "}" && braces) {
        braces -= 1;
      }
    } else if (token === "$" || token === "$$") {
      [start, closer, braces] = [place, token, 0];
    } else if (token === "\\\\(" || token === "\\\\[") {
      [start, closer, braces] = [place, token.endsWith("(") ? "\\\\)" : "\\\\]", 0];
    } else if (token.slice(1, 6) === "begin") {
      [start, closer, braces] = [place, `\\end${token.slice(6)}`, 0];
    }
  }
  if (start !== null && last !== null) take(start, last);
  return { text: show(tokens.join("")), formulas };
}

function restoreFormulas(html, formulas) {
  return html.replace(/@@(\d+)@@/g, (whole, number) => {
    const formula = formulas[number];
    if (formula === undefined) return whole;
    for (const [open, close] of ["()", "[]"]) {
      if (formula.startsWith(`\\\\${open}`) && formula.endsWith(`\\\\${close}`)) {
        return `\\${open}${formula.slice(3, -3)}\\${close}`;
      }
    }
    return formula;
  });
}

function render(source) {
  const { text, formulas } = takeFormulas(source);
  return restoreFormulas(marked.parse(text, { async: false }), formulas);
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(JSON.parse(line).map(render))}\n`);
}
