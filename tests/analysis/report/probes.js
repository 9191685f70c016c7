// What test_page_in_browser.py asks of the page, as functions in it.

/** Relative luminance of [r, g, b] from 0 to 255 (WCAG 2.2). */
function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const parts = (text) => text.match(/[\d.]+/g).map(Number);

/** The colour behind an element. */
function ground(node) {
  for (; node; node = node.parentElement) {
    const colour = parts(getComputedStyle(node).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
  }
  return [255, 255, 255];
}

/** Texts that stand out from their ground by a contrast of less than 4.5. */
function poorlyReadable() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), poor = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), node = walker.currentNode.parentElement;
    if (!text || !node.checkVisibility() || node.closest("script, style, option, .bar")) continue;
    const style = getComputedStyle(node), colour = parts(node.closest("svg") ? style.fill : style.color).slice(0, 3);
    const [a, b] = [luminance(colour), luminance(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push([text, (a + 0.05) / (b + 0.05)]);
  }
  return poor;
}

/** Elements that reach beyond the window, and tables that one must scroll to see whole. */
function offScreen() {
  const seen = [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility() && !node.closest("svg"));
  const beyond = seen.filter((node) => {
    const box = node.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1);
  });
  const cut = seen.filter((node) => node.matches(".wide") && node.scrollWidth > node.clientWidth + 1);
  return [...beyond, ...cut].map((node) => `${node.tagName} ${node.className}: ${node.textContent.trim().slice(0, 40)}`);
}

/** Left, top, width and height of the first element that a selector finds, in the window. */
function box(selector) {
  const { x, y, width, height } = document.querySelector(selector).getBoundingClientRect();
  return [x, y, width, height];
}

/** A place on the first law, between its points. */
function onLaw() {
  const line = document.querySelector("#plot .law"), place = line.getPointAtLength(0.55 * line.getTotalLength());
  const [left, top] = box("#plot svg");
  return [left + place.x, top + place.y];
}

/** How far the marks of zero lie from the corner where both axes begin, in pixels: across, and up. */
function zerosFromCorner() {
  const place = (line, name) => Number(line.getAttribute(name)), lines = [...document.querySelectorAll("#plot .axes line")];
  const level = lines.filter((line) => place(line, "y1") === place(line, "y2")), upright = lines.filter((line) => !level.includes(line));
  const zeros = [...document.querySelectorAll("#plot .axes text")].filter((text) => text.textContent === "0");
  const [across, up] = zeros.map((text) => text.previousElementSibling);
  return [place(across, "x1") - place(level[0], "x1"), place(up, "y1") - place(upright[0], "y2")];
}
