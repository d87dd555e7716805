// Small helpers for elements. Texts are always set as text, never as HTML.

export function el(name, attrs = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attrs)) {
    if (v === true) e.setAttribute(k, '');
    else if (v !== false && v != null) e.setAttribute(k, v);
  }
  e.append(...children.filter((c) => c != null));
  return e;
}

// say sets an element's text if it is another one: what has not changed need not be read out again.
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// keyed makes the children of parent be those for items, each made once and then updated, in their order.
export function keyed(parent, items, keyOf, make, update) {
  const have = new Map();
  for (const child of [...parent.children]) {
    if (child.dataset.key == null) child.remove();
    else have.set(child.dataset.key, child);
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = have.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    have.delete(key);
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of have.values()) child.remove();
}
