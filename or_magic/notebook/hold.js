// Clearing a cell empties it for a moment: whoever reads at its end would be thrown to its beginning. While this output
// is in the cell, and for a second after the clearing that takes it away, the cell keeps its height.
const area = element.closest('.jp-Cell-outputArea');
const holder = area && area.parentElement;
if (holder) {
  const hold = () => {
    if (element.isConnected && area.offsetHeight >= holder.offsetHeight) holder.style.minHeight = `${area.offsetHeight}px`;
  };
  const growth = new ResizeObserver(hold);
  const clearing = new MutationObserver(() => {
    if (element.isConnected) return;
    clearing.disconnect();
    growth.disconnect();
    setTimeout(() => { holder.style.minHeight = ''; }, 1000);
  });
  growth.observe(area);
  clearing.observe(area, {childList: true});
  hold();
}
