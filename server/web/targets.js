// The page of the targets. Everything that a target or a configuration could have written is put
// in as text, never as markup.
'use strict';

const PERIOD_MS = 2000;          // between two looks, while the page is visible
const MAX_PERIOD_MS = 30000;     // after failures
const STEP = 100;                // rows that "show more" adds
const OPEN_BY_DEFAULT = 200;     // pools are open while all their rows are no more than this

// ---- State: what the address holds, and a reload keeps

const state = {search: '', health: '', opened: new Set(), closed: new Set(), dropped: new Set()};

function readAddress() {
  const query = new URLSearchParams(location.search);
  state.search = query.get('search') || '';
  state.health = ['up', 'down', 'unknown'].includes(query.get('health')) ? query.get('health') : '';
  state.opened = new Set(query.getAll('open'));
  state.closed = new Set(query.getAll('closed'));
  state.dropped = new Set(query.getAll('dropped'));
}

function writeAddress() {
  const query = new URLSearchParams();
  if (state.search) query.set('search', state.search);
  if (state.health) query.set('health', state.health);
  for (const job of state.opened) query.append('open', job);
  for (const job of state.closed) query.append('closed', job);
  for (const job of state.dropped) query.append('dropped', job);
  const text = query.toString();
  history.replaceState(null, '', text ? '?' + text : location.pathname);
}

const limits = new Map();  // job → rows asked for; a reload begins small again
let known = [];            // pools of the last answer
let paused = false;

function isOpen(pool) {
  if (state.opened.has(pool.job)) return true;
  if (state.closed.has(pool.job)) return false;
  return pool.openByDefault;
}

// ---- Small pieces of the document

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

function makeSvg(tag, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function seconds(value) {
  if (value === undefined || value === null) return '';
  if (value < 0.001) return (value * 1e6).toFixed(0) + 'µs';
  if (value < 1) return (value * 1e3).toFixed(value < 0.1 ? 1 : 0) + 'ms';
  if (value < 60) return value.toFixed(1) + 's';
  if (value < 3600) return Math.floor(value / 60) + 'm' + Math.floor(value % 60) + 's';
  return Math.floor(value / 3600) + 'h' + Math.floor(value % 3600 / 60) + 'm';
}

function number(value) { return Number(value || 0).toLocaleString('en-US'); }

function labelChips(labels, before) {
  const chips = [];
  for (const [name, value] of Object.entries(labels)) {
    const text = `${name}="${value}"`;
    const changed = before && before[name] !== value;
    chips.push(make('span', {class: changed ? 'label added' : 'label', title: text}, text));
  }
  for (const [name, value] of Object.entries(before || {})) {
    if (labels[name] !== undefined) continue;
    chips.push(make('span', {class: 'label removed'}, `${name}="${value}"`));
  }
  return chips;
}

// Bars of the last scrapes, the newest at the right: failed ones in red, full height is `top`.
function plot(values, top, title) {
  const svg = makeSvg('svg', {class: 'plot', viewBox: '0 0 96 26', role: 'img', 'aria-label': title});
  svg.append(makeSvg('title', {}), makeSvg('line', {class: 'base', x1: 0, x2: 96, y1: 25.5, y2: 25.5}));
  svg.firstChild.textContent = title;
  const width = 96 / Math.max(values.length, 10);
  values.forEach((value, i) => {
    const height = Math.max(1, Math.min(1, top > 0 ? value.size / top : 0) * 24);
    svg.append(makeSvg('rect', {
      class: value.ok ? 'ok' : 'bad', x: 96 - (values.length - i) * width, width: Math.max(1, width - 1),
      y: 25 - height, height}));
  });
  return svg;
}

// ---- One pool

class PoolView {
  constructor(job) {
    this.job = job;
    this.rows = new Map();
    this.name = make('span', {class: 'name'}, job);
    this.counts = make('span', {class: 'counts'});
    this.bar = make('span', {class: 'bar3', 'aria-hidden': 'true'}, make('i', {class: 'up'}), make('i', {class: 'down'}));
    this.fold = make('button', {type: 'button', class: 'fold', onclick: () => this.toggle()}, this.name, this.counts, this.bar);
    this.body = make('tbody');
    const titles = [['Endpoint'], ['Health'], ['Labels'], ['Last scrape', 1], ['Duration', 1], ['Lateness', 1], ['Samples', 1], ['']];
    this.table = make('div', {class: 'scroll'}, make('table', {},
      make('thead', {}, make('tr', {}, ...titles.map(([t, num]) => make('th', num ? {class: 'num'} : {}, t)))), this.body));
    this.more = make('p', {class: 'more'});
    this.drops = make('div');
    this.content = make('div', {}, this.table, this.more, this.drops);
    this.element = make('section', {class: 'pool'}, make('h2', {}, this.fold), this.content);
  }

  toggle() {
    const open = this.fold.getAttribute('aria-expanded') === 'true';
    (open ? state.closed : state.opened).add(this.job);
    (open ? state.opened : state.closed).delete(this.job);
    this.showOpen(!open);
    writeAddress();
    refreshNow();
  }

  showOpen(open) {
    this.fold.setAttribute('aria-expanded', String(open));
    this.content.hidden = !open;
  }

  update(pool, now) {
    this.updateHead(pool);
    this.showOpen(isOpen(pool));
    if (!isOpen(pool)) return;
    this.updateRows(pool, now);
    this.updateMore(pool);
    this.updateDropped(pool);
  }

  updateHead(pool) {
    const parts = [pool.pending ? `not in the configuration · ${number(pool.failed)} wait` : `${number(pool.up)}/${number(pool.active)} up`];
    if (pool.unknown) parts.push(`${number(pool.unknown)} unknown`);
    if (pool.dropped) parts.push(`${number(pool.dropped)} dropped`);
    const text = parts.join(' · ');
    const down = pool.down ? ` · ${number(pool.down)} down` : '';
    if (this.head !== text + down) {
      this.head = text + down;
      this.counts.replaceChildren(text, ...(down ? [make('span', {class: 'down'}, down)] : []));
      const share = count => (pool.active ? 100 * count / pool.active : 0) + '%';
      this.bar.children[0].style.width = share(pool.up);
      this.bar.children[1].style.width = share(pool.down);
    }
  }

  updateRows(pool, now) {
    const seen = new Set();
    let place = this.body.firstChild;
    for (const target of pool.targets || []) {
      seen.add(target.id);
      let row = this.rows.get(target.id);
      if (!row) this.rows.set(target.id, row = new RowView(target));
      row.update(target, now);
      if (row.element === place) place = place.nextSibling;
      else this.body.insertBefore(row.element, place);
    }
    for (const [id, row] of this.rows) {
      if (seen.has(id)) continue;
      row.element.remove();
      this.rows.delete(id);
    }
    this.table.hidden = this.rows.size === 0;
  }

  updateMore(pool) {
    const shown = (pool.targets || []).length;
    const left = pool.matching - shown;
    const text = pool.pending ? 'The running configuration has no such job: nothing of it is scraped.'
      : pool.active === 0 ? 'No active targets.' : pool.matching === 0 ? 'No target matches the filter.'
      : left > 0 ? `${number(shown)} of ${number(pool.matching)} targets shown. ` : '';
    if (this.moreText === text) return;
    this.moreText = text;
    this.more.hidden = text === '';
    this.more.replaceChildren(text);
    if (left > 0) {
      this.more.append(make('button', {type: 'button', onclick: () => {
        limits.set(this.job, shown + STEP);
        refreshNow();
      }}, `Show ${number(Math.min(STEP, left))} more`));
    }
  }

  updateDropped(pool) {
    const key = JSON.stringify([pool.dropped, pool.failed, pool.droppedTargets, pool.failedTargets]);
    if (key === this.dropKey) return;
    this.dropKey = key;
    this.drops.replaceChildren();
    if (!pool.dropped && !pool.failed) return;
    const open = state.dropped.has(this.job);
    const what = [pool.dropped ? `${number(pool.dropped)} dropped` : '', pool.failed ? `${number(pool.failed)} ${pool.pending ? 'waiting' : 'not usable'}` : ''];
    this.drops.append(make('div', {class: 'sub'}, make('button', {type: 'button', 'aria-expanded': String(open), onclick: () => {
      state.dropped[open ? 'delete' : 'add'](this.job);
      this.dropKey = '';
      writeAddress();
      refreshNow();
    }}, (open ? 'Hide ' : 'Show ') + what.filter(Boolean).join(' and '))));
    if (open) this.drops.append(this.dropTable(pool));
  }

  dropTable(pool) {
    const rows = [...(pool.failedTargets || []), ...(pool.droppedTargets || [])].map(drop => make('tr', {},
      make('td', {class: 'error'}, drop.reason),
      make('td', {class: 'labels'}, ...(Object.keys(drop.discoveredLabels).length ? labelChips(drop.discoveredLabels) : ['labels are not kept'])),
      make('td', {class: 'actions'}, pool.pending ? null : make('button', {type: 'button', onclick: () =>
        showExplanation(pool.job, 'dropped target', new URLSearchParams({scrapePool: pool.job, id: drop.id}))}, 'Explain'))));
    const shown = rows.length;
    return make('div', {class: 'scroll'}, make('table', {},
      make('thead', {}, make('tr', {}, make('th', {}, 'Why'), make('th', {}, 'Discovered labels'), make('th', {}))), make('tbody', {}, ...rows)),
      shown < pool.dropped + pool.failed ? make('p', {class: 'more'}, `${number(shown)} of ${number(pool.dropped + pool.failed)} shown.`) : null);
  }
}

// ---- One target

class RowView {
  constructor(target) {
    const id = new URLSearchParams({id: target.id, scrapePool: target.scrapePool});
    const safe = /^https?:\/\//.test(target.scrapeUrl);
    this.health = make('span', {class: 'health'});
    this.error = make('div', {class: 'error'});
    this.note = make('div', {class: 'note'});
    this.last = make('td', {class: 'num'});
    this.duration = make('span');
    this.durations = make('div');
    this.lateness = make('span');
    this.latenesses = make('div');
    this.samples = make('td', {class: 'num'});
    this.element = make('tr', {'data-id': target.id},
      make('td', {class: 'endpoint'}, safe ? make('a', {href: target.scrapeUrl, rel: 'noreferrer noopener', target: '_blank'}, target.scrapeUrl) : target.scrapeUrl, this.error, this.note),
      make('td', {}, this.health), make('td', {class: 'labels'}, ...labelChips(target.labels)),
      this.last, make('td', {class: 'num'}, this.duration, this.durations), make('td', {class: 'num'}, this.lateness, this.latenesses), this.samples,
      make('td', {class: 'actions'},
        make('button', {type: 'button', onclick: () => showExplanation(target.scrapePool, target.scrapeUrl, id)}, 'Explain'),
        make('button', {type: 'button', onclick: () => scrapeNow(target.scrapeUrl, id)}, 'Scrape now')));
  }

  update(target, now) {
    if (this.health.textContent !== target.health) {
      this.health.textContent = target.health;
      this.health.className = 'health ' + target.health;
    }
    const error = target.reason + '\n' + target.lastError;
    if (this.errorText !== error) {
      this.errorText = error;
      this.error.replaceChildren(...(target.lastError ? [target.reason ? make('span', {class: 'reason'}, target.reason) : null, target.lastError].filter(Boolean) : []));
    }
    const rejected = (target.rejected || []).map(r => `${number(r.samples)} samples refused by ${r.sink}: ${r.code}`);
    setText(this.note, [...(target.held ? ['held: its removal waits for a confirmation'] : []), ...rejected].join('; '));
    setText(this.last, target.lastScrape ? seconds(Math.max(0, (now - target.lastScrape) / 1000)) + ' ago' : 'never');
    setText(this.duration, target.lastScrape ? seconds(target.duration) : '');
    setText(this.lateness, target.lastScrape ? seconds(target.lateness) : '');
    setText(this.samples, target.lastScrape ? number(target.samples) : '');
    this.updatePlots(target);
  }

  updatePlots(target) {
    const scrapes = target.history || [];
    const newest = scrapes.length ? scrapes[scrapes.length - 1][0] : 0;
    if (this.newest === newest) return;
    this.newest = newest;
    const top = (at, least) => Math.max(least, ...scrapes.map(scrape => scrape[at]));
    const bars = at => scrapes.map(scrape => ({size: scrape[at], ok: scrape[3] === 1}));
    const durations = top(2, 0.001), latenesses = top(1, 0.001);
    this.durations.replaceChildren(plot(bars(2), durations, `last ${scrapes.length} durations, up to ${seconds(durations)}`));
    this.latenesses.replaceChildren(plot(bars(1), latenesses, `last ${scrapes.length} latenesses, up to ${seconds(latenesses)}`));
  }
}

// ---- The dialog: explain, and scrape now

const dialog = document.getElementById('dialog');

function showDialog(title, ...content) {
  document.getElementById('dialog-title').textContent = title;
  document.getElementById('dialog-body').replaceChildren(...content.filter(Boolean));
  if (!dialog.open) dialog.showModal();
}

async function ask(path, options) {
  const answer = await fetch(path, {cache: 'no-store', ...options});
  const body = await answer.json().catch(() => ({error: `${answer.status} ${answer.statusText}`}));
  if (!answer.ok || body.status !== 'success') throw new Error(body.error || String(answer.status));
  return body.data;
}

function showError(title, error) { showDialog(title, make('p', {class: 'error'}, error.message)); }

async function showExplanation(job, name, query) {
  const title = `Why ${name} is what it is in ${job}`;
  showDialog(title, 'asking…');
  try {
    const data = await ask('api/v1/targets/explain?' + query);
    showDialog(title, ...(data.steps || []).map(explainStep), explainResult(data.result));
  } catch (error) {
    showError(title, error);
  }
}

function explainStep(step) {
  const rule = step.kind === 'RELABEL' ? ` relabel_configs[${step.ruleIndex || 0}]` : '';
  return make('div', {class: step.dropped ? 'step dropped' : 'step'},
    make('div', {}, make('span', {class: 'kind'}, step.kind.toLowerCase().replace('_', ' ') + rule), step.detail ? ' ' + step.detail : ''),
    step.rule ? make('code', {}, step.rule) : null,
    make('div', {}, ...labelChips(step.after || {}, step.before || {})));
}

function explainResult(result) {
  if (!result) return null;
  const active = result.state === 'ACTIVE';
  return make('div', {}, make('h3', {}, active ? 'It is scraped' : 'It is not scraped'),
    make('p', {}, active ? result.scrapeUrl || '' : (result.drop && result.drop.detail) || ''), ...labelChips(result.labels || {}));
}

async function scrapeNow(name, query) {
  const title = 'Scrape of ' + name;
  showDialog(title, 'scraping…');
  try {
    const data = await ask('api/v1/targets/scrape?' + query, {method: 'POST'});
    showDialog(title, ...scrapeParts(data));
  } catch (error) {
    showError(title, error);
  }
}

function scrapeParts(data) {
  const scrape = data.scrape || {};
  const facts = [['Status', data.statusLine], ['Duration', scrape.duration], ['Bytes', scrape.bodyBytes],
    ['Inflated', scrape.inflatedBytes], ['Samples', data.sampleCount], ['Content type', scrape.contentType], ['Error', scrape.error]];
  for (const [name, value] of Object.entries(scrape.phases || {})) facts.push(['Until ' + name, value]);
  const list = make('dl');
  for (const [name, value] of facts) if (value) list.append(make('dt', {}, name), make('dd', {}, String(value)));
  const body = decodeBody(data.body);
  const samples = data.samples || [];
  return [list,
    make('h3', {}, 'Headers'), make('pre', {}, (data.headers || []).map(h => `${h.name}: ${h.value}`).join('\n')),
    make('h3', {}, `Samples, ${number(samples.length)} of ${number(data.sampleCount)}`), sampleTable(samples),
    make('h3', {}, data.bodyCut ? 'Body, cut' : 'Body'), make('pre', {}, body)];
}

function decodeBody(base64) {
  const bytes = Uint8Array.from(atob(base64 || ''), c => c.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}

function sampleTable(samples) {
  const fate = sample => sample.fate === 'DROPPED' ? `dropped by metric_relabel_configs[${sample.ruleIndex || 0}]`
    : (sample.fate || '').toLowerCase().replace(/_/g, ' ') + (sample.detail ? ': ' + sample.detail : '');
  const rows = samples.slice(0, 1000).map(sample => make('tr', {},
    make('td', {}, sample.text || ''), make('td', {class: 'num'}, String(sample.value ?? 0)),
    make('td', sample.fate === 'KEPT' ? {} : {class: 'error'}, fate(sample)), make('td', {}, ...labelChips(sample.labels || {}))));
  return make('div', {class: 'scroll'}, make('table', {}, make('tbody', {}, ...rows)));
}

// ---- Looking again and again

const views = new Map();
let timer = 0;
let failures = 0;
let looking = null;

function query() {
  const out = new URLSearchParams({limit: STEP});
  if (state.search) out.set('search', state.search);
  if (state.health) out.set('health', state.health);
  out.set('openUpTo', OPEN_BY_DEFAULT);
  for (const job of state.opened) out.append('open', job);
  for (const job of state.closed) out.append('closed', job);
  for (const job of state.dropped) out.append('dropped', job);
  for (const [job, limit] of limits) out.append('limitOf', `${limit} ${job}`);
  return out;
}

async function look() {
  clearTimeout(timer);
  if (looking) looking.abort();
  const mine = looking = new AbortController();
  try {
    const data = await ask('api/v1/targets/overview?' + query(), {signal: mine.signal});
    failures = 0;
    show(data);
    setLive(paused ? 'paused' : 'live', paused ? '' : 'on');
  } catch (error) {
    if (mine.signal.aborted) return;
    ++failures;
    setLive('no answer: ' + error.message, 'lost');
  }
  looking = null;
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (paused || document.hidden) return;
  timer = setTimeout(look, Math.min(MAX_PERIOD_MS, PERIOD_MS * 2 ** Math.min(failures, 4)));
}

function refreshNow() { look(); }

function setLive(text, kind) {
  const live = document.getElementById('live');
  setText(live, text);
  live.className = 'live ' + kind;
}

function show(data) {
  const main = document.getElementById('pools');
  known = data.pools;
  const sums = {active: 0, up: 0, down: 0, unknown: 0};
  let place = main.firstChild;
  const seen = new Set();
  for (const pool of known) {
    for (const key of Object.keys(sums)) sums[key] += pool[key];
    seen.add(pool.job);
    let view = views.get(pool.job);
    if (!view) views.set(pool.job, view = new PoolView(pool.job));
    view.update(pool, data.now);
    if (view.element === place) place = place.nextSibling;
    else main.insertBefore(view.element, place);
  }
  for (const [job, view] of views) {
    if (seen.has(job)) continue;
    view.element.remove();
    views.delete(job);
  }
  for (const [key, id] of [['active', 'all'], ['up', 'up'], ['down', 'down'], ['unknown', 'unknown']]) {
    setText(document.getElementById('count-' + id), number(sums[key]));
  }
  document.title = sums.down ? `(${sums.down} down) trawl: targets` : 'trawl: targets';
  document.body.dataset.shown = String(Number(document.body.dataset.shown || 0) + 1);
}

// ---- Controls

function showControls() {
  document.getElementById('search').value = state.search;
  for (const chip of document.querySelectorAll('[data-health]')) {
    chip.setAttribute('aria-pressed', String(chip.dataset.health === state.health));
  }
}

function setAll(open) {
  state.opened = new Set(open ? known.map(pool => pool.job) : []);
  state.closed = new Set(open ? [] : known.map(pool => pool.job));
  writeAddress();
  refreshNow();
}

let typing = 0;
document.getElementById('search').addEventListener('input', event => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    state.search = event.target.value.trim();
    limits.clear();
    writeAddress();
    refreshNow();
  }, 150);
});
document.getElementById('filter').addEventListener('submit', event => event.preventDefault());
for (const chip of document.querySelectorAll('[data-health]')) {
  chip.addEventListener('click', () => {
    state.health = chip.dataset.health;
    limits.clear();
    showControls();
    writeAddress();
    refreshNow();
  });
}
document.getElementById('expand').addEventListener('click', () => setAll(true));
document.getElementById('collapse').addEventListener('click', () => setAll(false));
document.getElementById('pause').addEventListener('click', event => {
  paused = !paused;
  event.target.textContent = paused ? 'Resume' : 'Pause';
  if (paused) { clearTimeout(timer); setLive('paused', ''); } else { look(); }
});
document.getElementById('dialog-close').addEventListener('click', () => dialog.close());
document.addEventListener('visibilitychange', () => { if (!document.hidden && !paused) look(); });
window.addEventListener('popstate', () => { readAddress(); showControls(); look(); });

readAddress();
showControls();
look();
