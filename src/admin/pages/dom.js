// Builds elements. What a page says is only ever text: there is no way here to have markup read from a string.

const SVG = 'http://www.w3.org/2000/svg';

// The longest text that a line of a table or a headline shows, in characters. Names, ids and types are far shorter; only
// strangers send longer ones.
const LINE = 160;

// An element with attributes and children. A function as an attribute (`onclick`) is what happens then; `null`, `false`
// and absent children are left out.
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

// An element of a drawing.
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}

// A text from outside, to stand in a line: shortened, isolated from the direction of its neighbours, and with signs for
// what can't be seen or would turn other text around.
export function outside(text, longest = LINE) {
  const characters = Array.from(String(text).slice(0, 2 * longest + 2));
  const isLong = characters.length > longest;
  const shown = isLong ? [...characters.slice(0, longest - 1), '…'].join('') : characters.join('');
  return el('bdi', isLong ? { title: 'shortened' } : {}, visible(shown));
}

// A text in which control characters and those that change the direction of writing are to be seen. Line ends and tabs
// stay as they are.
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, sign);
}

function sign(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? '\u2421' : `\u27e8U+${code.toString(16).toUpperCase().padStart(4, '0')}\u27e9`;
}

// Puts what `draw` makes of `data` into `place`, unless it shows the same data already. Who was on a button or a link
// stays there.
export function show(place, data, draw) {
  const text = JSON.stringify(data);
  if (place.shownData === text) return;
  place.shownData = text;
  const focused = place.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  const open = [...place.querySelectorAll('details[open]')].map(nameOf);
  place.replaceChildren(...[draw(data)].flat(Infinity).filter(Boolean));
  for (const details of place.querySelectorAll('details')) details.open = open.includes(nameOf(details));
  if (focused) [...place.querySelectorAll('a, button, summary, input')].find((node) => nameOf(node) === focused)?.focus();
}

// By what an element is found again after it was drawn anew.
function nameOf(node) {
  return node.id || node.getAttribute('href') || node.getAttribute('aria-label') || node.textContent;
}

// Says something to those who hear the page.
export function announce(text) {
  document.getElementById('news').textContent = text;
}
