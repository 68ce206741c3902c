// Looks for anything alive in what a model wrote: elements, attributes, scripts that ran, commands of the front end.
(() => {
  const fired = [];
  globalThis.pwned = (...words) => fired.push(['pwned', ...words.map(String)]);
  for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) globalThis[name] = (...words) => void fired.push([name, ...words.map(String)]);

  const commands = globalThis.jupyterapp.commands;
  const execute = commands.execute;
  commands.execute = function (id, ...rest) {
    fired.push(['command', id]);
    return execute.call(this, id, ...rest);
  };

  const TAGS = new Set(
    ('p h1 h2 h3 h4 h5 h6 em strong del code pre span a ul ol li table thead tbody tr th td blockquote hr br div small' +
     ' sup sub section details summary input').split(' '));
  // What Lab adds to headings and links, what tables and lists of Markdown have, and what formulas are made of.
  const ATTRIBUTES = new Set(
    ('class href title target rel align start id role tabindex disabled checked type data-jupyter-id data-mime-type' +
     ' data-language data-footnotes dir open').split(' '));
  const FRAME = '.dataframe tbody tr th:only-of-type';

  const href = link => {
    const told = link.getAttribute('href');
    if (!URL.canParse(told, location.href)) return null; // it leads nowhere
    const {protocol} = new URL(told, location.href);
    // The front end makes a link of every address in plain text, and shows it whole: that is its way, not the model's.
    if (link.closest('.jp-RenderedText') && link.textContent === told && protocol !== 'javascript:') return null;
    return /^(https?|mailto):$/.test(protocol) ? null : `href ${told}`;
  };

  const formula = element => element.closest('mjx-container');

  const alive = element => {
    const found = [];
    const name = element.localName;
    if (name === 'img' && element.parentElement.matches('.jp-RenderedImage') && element.src.startsWith('data:image/png;')) return found;
    const drawn = formula(element);
    const ours = name === 'small' || (name === 'span' && element.closest('small'));
    const style = name === 'style' && element.textContent.trim().startsWith(FRAME);
    if (!TAGS.has(name) && !name.startsWith('mjx-') && !drawn && !style) found.push(`<${name}>`);
    if (drawn && /^(script|iframe|img|image|object|embed|foreignobject|a)$/i.test(name) && name !== 'a') found.push(`<${name}> in a formula`);
    if (name === 'input' && element.type !== 'checkbox') found.push(`input ${element.type}`);
    for (const {name: attribute, value} of element.attributes) {
      if (/^on/i.test(attribute)) found.push(attribute);
      else if (attribute === 'data-commandlinker-command' && value === 'rendermime:handle-local-link') continue;
      else if (attribute === 'data-commandlinker-args' && element.dataset.commandlinkerCommand === 'rendermime:handle-local-link') continue;
      else if (/^data-commandlinker/i.test(attribute)) found.push(`${attribute}=${value}`);
      else if (/^(src|srcset|poster|background|ping|action|formaction|xlink:href|srcdoc)$/i.test(attribute)) found.push(attribute);
      else if (!drawn && !ours && !style && !ATTRIBUTES.has(attribute) && !(attribute === 'style' && /^(TH|TD|TR|TABLE)$/.test(element.tagName)) && !(name === 'table' && attribute === 'border')) found.push(`${name} ${attribute}=${value}`);
    }
    if (element.localName === 'a' && element.hasAttribute('href') && href(element)) found.push(href(element));
    const {backgroundImage, listStyleImage} = getComputedStyle(element);
    if (/url\(["']?(?!data:)/.test(backgroundImage + listStyleImage)) found.push(`image ${backgroundImage}${listStyleImage}`);
    return found;
  };

  const elements = () => [...document.querySelectorAll('.jp-OutputArea-output *')].filter(e => !e.closest('.jp-OutputArea-promptOverlay'));

  // A link that says where it leads may be followed by who clicks on it; anything else that a click does is alive.
  const click = () => {
    const still = event => {
      const link = event.target.closest?.('a[href]');
      if (link && !href(link)) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    };
    addEventListener('click', still, true);
    for (const element of elements()) {
      for (const kind of ['mouseover', 'mouseenter', 'focus', 'mousedown', 'mouseup', 'click', 'auxclick']) {
        element.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true, view: window}));
      }
    }
    removeEventListener('click', still, true);
  };

  const look = () => {
    const found = elements().flatMap(element => alive(element).map(what => `${what}: ${element.outerHTML.slice(0, 200)}`));
    click();
    return found;
  };

  globalThis.orMagicInert = {
    look,
    count: () => elements().length,
    fired: () => fired.filter(([kind, id]) => kind !== 'command' || !/^(notebook:(run-cell|enter|move)|docmanager:|apputils:(update|load|save)|statusbar|notebook:(select|change)|completer:|documentsearch)/.test(id)),
    all: () => fired,
  };
})();
