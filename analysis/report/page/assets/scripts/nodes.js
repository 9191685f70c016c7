// Elements of the page and of its drawings.

function element(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function html(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

const byId = (id) => document.getElementById(id);

const MARKS = {
  o: "M-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0-8.4 0z", s: "M-3.8-3.8h7.6v7.6h-7.6z", "^": "M0-5l4.8 8.6h-9.6z",
  v: "M0 5l4.8-8.6h-9.6z", "<": "M-5 0l8.6-4.8v9.6z", D: "M0-5.2L5.2 0 0 5.2-5.2 0z", P: "M-1.7-5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
  X: "M-5-2.6l2.4-2.4L0-2.4 2.6-5 5-2.6 2.4 0 5 2.6 2.6 5 0 2.4-2.6 5-5 2.6-2.4 0z",
  star: "M0-9l2.6 6 6.5.5-5 4.3 1.6 6.4L0 4.8l-5.7 3.4 1.6-6.4-5-4.3 6.5-.5z",
};
