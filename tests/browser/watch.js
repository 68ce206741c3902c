// What a test needs to know about a page, frame by frame: where a word stands, how high the outputs are, what they say.
(() => {
  const frame = () => new Promise(requestAnimationFrame);

  const areas = number => document.querySelectorAll('.jp-Notebook .jp-Cell')[number]?.querySelector('.jp-Cell-outputArea');

  // A word may lie in several nodes: of a stream's pieces, of highlighted code.
  const find = (root, text) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    let whole = '';
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      nodes.push([whole.length, node]);
      whole += node.data;
    }
    const seat = at => nodes.findLast(([start]) => start <= at);
    for (let at = whole.indexOf(text); at >= 0; at = whole.indexOf(text, at + 1)) {
      const [first, head] = seat(at);
      const [last, tail] = seat(at + text.length - 1);
      const range = document.createRange();
      range.setStart(head, at - first);
      range.setEnd(tail, at + text.length - last);
      if (range.getClientRects().length) return range;
    }
    return null;
  };

  const place = (number, text) => {
    const area = areas(number);
    const range = area ? find(area, text) : null;
    return range ? range.getBoundingClientRect().top : null;
  };

  const look = (number, word) => {
    const area = areas(number);
    return {
      t: performance.now(),
      // Of what holds the outputs: it is what the page moves by, and what keeps its height while they are drawn anew.
      height: area?.parentElement.offsetHeight ?? 0,
      text: area?.innerText ?? '',
      boxed: area?.closest('.jp-mod-outputsScrolled') !== null,
      outputs: area?.querySelectorAll(':scope > .jp-OutputArea-child').length ?? 0,
      place: word ? place(number, word) : null,
    };
  };

  const settled = async () => {
    const page = () => [...document.querySelectorAll('.jp-Cell-outputArea')].map(a => [a.offsetHeight, a.textContent.length]).join();
    for (let before = null, same = 0; same < 3; ) {
      await frame();
      const now = page();
      same = now === before ? same + 1 : 0;
      before = now;
    }
  };

  let watching = false;
  let seen = [];
  const watch = (number, word, withText) => {
    watching = true;
    seen = [];
    const tick = () => {
      if (!watching) return;
      const now = look(number, word);
      now.length = now.text.length;
      if (!withText) delete now.text;
      seen.push(now);
      requestAnimationFrame(tick);
    };
    tick();
  };
  const stop = () => {
    watching = false;
    return seen;
  };

  // Boxes that scroll lie in each other: Notebook 7 gives a long output one of its own.
  const scrollers = node => {
    const found = [];
    for (; node; node = node.parentElement) {
      const how = getComputedStyle(node).overflowY;
      if ((how === 'auto' || how === 'scroll') && node.scrollHeight > node.clientHeight + 1) found.push(node);
    }
    return found;
  };

  // Scroll, as a reader does, until the word stands at this fraction of what he sees.
  const read = (number, word, fraction) => {
    const node = find(areas(number), word).startContainer.parentElement;
    for (const box of scrollers(node)) {
      const wanted = box.getBoundingClientRect().top + box.clientHeight * fraction;
      box.scrollTop += place(number, word) - wanted;
    }
    return place(number, word);
  };

  globalThis.orMagicWatch = {find, place, look, settled, watch, stop, read};
})();
