// The rates of the last five minutes. The page keeps them too, so that they outlive a restart of the program.

const span = 300_000;

export class History {
  times = [];
  down = new Map();
  up = new Map();

  // merge takes in what the program remembers; what is older than that is kept.
  merge(h) {
    const first = h.t.length ? h.t[0] : Infinity;
    let old = this.times.findIndex((t) => t >= first);
    if (old < 0) old = this.times.length;
    const before = this.times.slice(0, old);
    this.times = before.concat(h.t);
    for (const way of ['down', 'up']) {
      const mine = this[way];
      const theirs = h[way];
      for (const name of new Set([...mine.keys(), ...Object.keys(theirs)])) {
        const head = (mine.get(name) ?? []).slice(0, old);
        while (head.length < old) head.push(null);
        mine.set(name, head.concat(theirs[name] ?? new Array(h.t.length).fill(null)));
      }
    }
    this.trim();
  }

  // add takes in one more sample.
  add(at, rates) {
    if (this.times.length && at <= this.times[this.times.length - 1]) return;
    this.times.push(at);
    for (const [i, way] of ['down', 'up'].entries()) {
      const mine = this[way];
      for (const name of Object.keys(rates)) {
        if (!mine.has(name)) mine.set(name, new Array(this.times.length - 1).fill(null));
      }
      for (const [name, list] of mine) list.push(rates[name] ? rates[name][i] : null);
    }
    this.trim();
  }

  trim() {
    if (!this.times.length) return;
    const from = this.times[this.times.length - 1] - span - 1000;
    let n = 0;
    while (this.times[n] < from) n++;
    if (n) this.times.splice(0, n);
    for (const way of ['down', 'up']) {
      for (const [name, list] of this[way]) {
        if (n) list.splice(0, n);
        if (list.every((v) => v == null)) this[way].delete(name);
      }
    }
  }
}
