// The end of a long answer clears its cell and draws it anew: who reads in it would be thrown to another place. While
// this output is in the cell, and for a second after the clearing that takes it away, the cell keeps its height, and the
// words that are read keep their place.
const BOX = 'jp-mod-outputsScrolled';
const STAY_MS = 1000;
const LIMIT_MS = 10000; // for a page that is slow to draw
// How much of the text before and after the place is looked for: as much as is found again, for lines may repeat.
const WINDOWS = [[200, 200], [200, 0], [0, 200], [60, 0], [0, 60]];
// What stands below a growing answer (pages.py); it goes with the clearing, and nobody's place can be found by it.
const STREAMING = '… still streaming';

const begin = () => {
  const area = element.closest('.jp-Cell-outputArea');
  const holder = area && area.parentElement;
  const cell = area && area.closest('.jp-Cell');
  if (!cell) return;
  let read = null; // the text node that is read, and where it stands
  let boxed = false; // whether the outputs were put into a box that scrolls
  let acted = false; // whether somebody may have taken them out of it himself
  let highest = 0; // of what the outputs filled so far

  const boxes = () => {
    const found = [];
    for (let node = area; node; node = node.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(node).overflowY)) found.push(node);
    }
    return found;
  };

  const caret = (x, y) => {
    const at = document.caretPositionFromPoint?.(x, y);
    if (at) return [at.offsetNode, at.offset];
    const range = document.caretRangeFromPoint?.(x, y);
    return range ? [range.startContainer, range.startOffset] : [null, 0];
  };

  const top = (node, offset) => {
    const range = document.createRange();
    range.setStart(node, offset);
    range.setEnd(node, offset + 1);
    return range.getBoundingClientRect().top;
  };

  // Notebook decides at every change whether the outputs are high enough for a box, and measures them half drawn.
  const keepBoxed = () => {
    if (boxed && !acted) cell.classList.add(BOX);
    boxed = cell.classList.contains(BOX);
  };

  const note = () => {
    if (!element.isConnected) return;
    keepBoxed();
    const edges = boxes().map(box => box.getBoundingClientRect());
    const {left, top: above} = area.getBoundingClientRect();
    // The area may be higher than what is in it: the front end keeps the height of an earlier answer for a moment.
    const below = area.lastElementChild?.getBoundingClientRect().bottom ?? above;
    highest = Math.max(highest, below - above);
    holder.style.minHeight = `${boxed ? area.offsetHeight : highest}px`;
    const first = Math.max(above, ...edges.map(edge => edge.top));
    const last = Math.min(below, ...edges.map(edge => edge.bottom));
    // Who sees the end of the cell, or nearly, reads its last line; anybody else in the middle.
    const end = [30, 45, 60, 75, 90, 120, 150].map(up => last - up);
    const middle = [0, 15, -15, 30, -30, 60, -60].map(down => (first + last) / 2 + down);
    const places = below - last < 200 ? end : middle;
    read = null;
    for (const [x, y] of places.flatMap(y => [90, 200, 350].map(x => [x, y]))) {
      if (y < first) continue;
      const [node, near] = caret(left + x, y);
      if (node?.nodeType !== Node.TEXT_NODE || !stays(node) || !area.contains(node)) continue;
      // Right of a line's end the caret stands behind its last letter; what comes next may be another output.
      const offset = node.data.slice(0, near + 1).search(/\S\s*$/);
      if (offset < 0) continue;
      read = {node, offset, top: top(node, offset)};
      return;
    }
  };

  // Left out is what differs between an answer in pages and an answer in one piece: spaces, and the head lines of a table,
  // which come again on every page.
  const stays = node => node.data !== STREAMING && !node.parentElement?.closest('thead');

  const words = roots => {
    const nodes = [];
    let text = '';
    for (const root of roots) {
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (!stays(node)) continue;
        nodes.push([text.length, node]);
        text += node.data.replace(/\s+/g, '');
      }
    }
    return {text, nodes};
  };

  const nearest = (text, wanted, at) => {
    let best = -1;
    for (let found = text.indexOf(wanted); found >= 0; found = text.indexOf(wanted, found + 1)) {
      if (best < 0 || Math.abs(found - at) < Math.abs(best - at)) best = found;
    }
    return best;
  };

  const found = (text, windows, share) => {
    for (const [wanted, lead] of windows) {
      const at = nearest(text, wanted, share * text.length - lead);
      if (at >= 0) return at + lead;
    }
    return -1;
  };

  const restore = (windows, share, height, end, redrawn) => {
    keepBoxed();
    const {text, nodes} = words([area]);
    const at = found(text, windows, share);
    const [start, node] = at < 0 ? [0, null] : nodes.findLast(([start, node]) => start <= at && node.data.trim());
    if (node) {
      let offset = 0;
      for (let seen = 0; offset < node.length - 1; offset += 1) {
        if (/\s/.test(node.data[offset])) continue;
        if (seen === at - start) break;
        seen += 1;
      }
      for (const box of boxes()) {
        const moved = top(node, offset) - height;
        if (Math.abs(moved) > 1) box.scrollTop += moved;
      }
    }
    // Formulas and colours come some time after the words.
    if (node && !redrawn) end = Math.min(end, performance.now() + STAY_MS);
    if (performance.now() < end && !touched) {
      requestAnimationFrame(() => restore(windows, share, height, end, redrawn || Boolean(node)));
    } else {
      holder.style.minHeight = '';
    }
  };

  let touched = false;
  const growth = new ResizeObserver(note);
  const clearing = new MutationObserver(records => {
    if (element.isConnected) return note();
    clearing.disconnect();
    growth.disconnect();
    removeEventListener('scroll', note, true);
    for (const kind of ['wheel', 'pointerdown', 'keydown']) {
      addEventListener(kind, () => (touched = true), {capture: true, once: true});
    }
    const {text, nodes} = words(records.filter(record => record.target === area).flatMap(record => [...record.removedNodes]));
    const seat = read && nodes.find(([, node]) => node === read.node);
    const at = seat ? seat[0] + read.node.data.slice(0, read.offset).replace(/\s+/g, '').length : 0;
    const windows = (seat ? WINDOWS : []).map(([before, after]) => [text.slice(Math.max(0, at - before), at + after), Math.min(at, before)]);
    restore(windows.filter(([wanted]) => wanted), at / (text.length || 1), read?.top, performance.now() + LIMIT_MS, false);
  });
  growth.observe(area);
  clearing.observe(area, {childList: true, subtree: true}); // highlighting puts new nodes in the place of old ones
  addEventListener('scroll', note, true);
  for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, () => (acted = true), {capture: true, once: true});
  note();
};
// The script runs before its output is put into the page.
setTimeout(begin);
