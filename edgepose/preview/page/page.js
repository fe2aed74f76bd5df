"use strict";
// Pictures come as MJPEG while there are few sources; browsers open six connections to a server at
// most, so that of many sources only the enlarged one moves, and the others show a still a second.
const MOST_LIVE = 4;
const COLORS = {
  crop: "#4fb3ff", network: "#ff8a3d", head: "#ef5f5f", search: "#c07bff", decode: "#3fbf7f",
  follow: "#e6c84b", smooth: "#5ad1c8", refine: "#f08fc0", detect: "#8f9bff", identify: "#9ccc65",
};
const SPARE = ["#b0bec5", "#a1887f", "#7986cb", "#dce775", "#ffab91"];
const NOT_WORK = new Set(["total", "queue"]);
const TICKS = 120;
const NOTICES = {
  waiting: "waiting for the first frame", silent: "no frames at present",
  lost: "connection lost, trying again", ended: "ended",
};
const tiles = new Map();
const byId = (id) => document.getElementById(id);
let focused = null;
let lastMessage = 0;

function color(stage) {
  if (!COLORS[stage]) {
    COLORS[stage] = SPARE[Object.keys(COLORS).length % SPARE.length];
  }
  return COLORS[stage];
}

class Tile {
  constructor(name) {
    this.name = name;
    this.ticks = [];
    this.root = byId("tile").content.firstElementChild.cloneNode(true);
    this.root.dataset.source = name;
    this.image = this.find(".picture img");
    this.image.alt = `Picture of ${name} with poses`;
    this.find(".bar h2").textContent = name;
    this.find(".picture").addEventListener("click", () => focus(this));
    this.image.addEventListener("error", () => this.retry());
    byId("sources").append(this.root);
    this.path = `stream/${encodeURIComponent(name)}`;
    this.mode = null;
  }

  find(selector) { return this.root.querySelector(selector); }

  show(mode) {
    if (mode === this.mode) { return; }
    this.mode = mode;
    clearTimeout(this.timer);
    this.load();
  }

  load() {
    this.timer = null;
    const ending = this.mode === "live" ? "mjpg" : "jpg";
    this.image.src = `${this.path}.${ending}?${Date.now()}`;
    if (this.mode === "still") { this.timer = setTimeout(() => this.load(), 1000); }
  }

  retry() {
    this.image.removeAttribute("src");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), 1500);
  }

  update(source) {
    this.root.dataset.state = source.state;
    this.find(".state").textContent = source.state;
    this.find(".notice").textContent = NOTICES[source.state] || "";
    this.find(".fps").textContent = source.fps.toFixed(1);
    this.find(".people").textContent = source.people.length === 0 ? "0"
      : `${source.people.length} (${source.people.map((id) => `#${id}`).join(" ")})`;
    this.find(".frames").textContent = source.frames.toLocaleString("en");
    const drops = Object.entries(source.dropped);
    const sum = drops.reduce((total, [, count]) => total + count, 0);
    this.find(".dropped").textContent = sum.toLocaleString("en");
    this.find(".drops").textContent = drops
      .map(([reason, count]) => `${reason.replaceAll("_", " ")} ${count}`).join(" · ");
    const total = source.stages.total;
    this.find(".total").textContent = total === undefined ? "–" : total.toFixed(1);
    const { naturalWidth, naturalHeight } = this.image;
    if (naturalWidth) {
      const ratio = Math.min(Math.max(naturalWidth / naturalHeight, 0.8), 2.4);
      this.find(".picture").style.setProperty("--ratio", ratio);
    }
    this.add(source.stages);
    this.legend(source.stages);
    this.draw();
  }

  add(stages) {
    this.ticks.push(stages);
    if (this.ticks.length > TICKS) { this.ticks.shift(); }
    this.root.dataset.ticks = this.ticks.filter((tick) => tick.total !== undefined).length;
  }

  legend(stages) {
    if (stages.total === undefined) { return; }
    const items = this.stages().map((stage) => {
      const item = document.createElement("li");
      const mark = document.createElement("i");
      mark.style.background = color(stage);
      const value = document.createElement("b");
      value.textContent = (stages[stage] || 0).toFixed(1);
      item.append(mark, `${stage} `, value);
      return item;
    });
    this.find(".legend").replaceChildren(...items);
  }

  stages() {
    const names = new Set(this.ticks.flatMap((tick) => Object.keys(tick)));
    return [...names].filter((name) => !NOT_WORK.has(name));
  }

  draw() {
    const canvas = this.find("canvas");
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (width === 0) { return; }
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const stages = this.stages();
    const top = this.top(stages);
    const left = 34, base = height - 4, scale = (base - 8) / top;
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of [0, top / 2, top]) {
      const y = Math.round(base - value * scale) + 0.5;
      pen.strokeStyle = style.getPropertyValue("--line");
      pen.beginPath(); pen.moveTo(left, y); pen.lineTo(width, y); pen.stroke();
      pen.fillStyle = style.getPropertyValue("--faint");
      pen.fillText(`${value}`, left - 6, Math.max(y, 6));
    }
    const step = (width - left) / TICKS;
    this.ticks.forEach((tick, index) => {
      let y = base;
      for (const stage of stages) {
        const tall = (tick[stage] || 0) * scale;
        pen.fillStyle = color(stage);
        const end = Math.max(0, y - tall);
        pen.fillRect(width - (this.ticks.length - index) * step, end, step + 0.3, y - end);
        y = end;
      }
    });
  }

  // The scale: above what most ticks took; searches and first frames go beyond the upper edge.
  top(stages) {
    const sums = this.ticks.map((tick) => stages.reduce((sum, stage) => sum + (tick[stage] || 0), 0))
      .filter((sum) => sum > 0).sort((a, b) => a - b);
    const high = sums.length ? sums[Math.floor((sums.length - 1) * 0.8)] * 1.5 : 10;
    return [2, 4, 10, 20, 40, 100, 200, 400, 1000, 2000, 10000].find((nice) => nice >= high) || 100000;
  }
}

function focus(tile) {
  focused = focused === tile ? null : tile;
  for (const each of tiles.values()) { each.root.classList.toggle("focus", each === focused); }
  arrange();
}

function arrange() {
  const few = tiles.size <= MOST_LIVE;
  byId("sources").classList.toggle("single", tiles.size === 1);
  for (const tile of tiles.values()) {
    tile.show(few || tile === focused ? "live" : "still");
    tile.draw();
  }
}

function onState(state) {
  lastMessage = Date.now();
  const names = new Set(state.sources.map((source) => source.name));
  for (const [name, tile] of tiles) {
    if (!names.has(name)) { tile.root.remove(); tiles.delete(name); }
  }
  for (const source of state.sources) {
    if (!tiles.has(source.name)) {
      tiles.set(source.name, new Tile(source.name));
      if (byId("empty")) { byId("empty").remove(); }
    }
    tiles.get(source.name).update(source);
  }
  arrange();
  const up = state.sources.filter((source) => source.state === "up").length;
  const viewers = state.viewers.dropped ? `, ${state.viewers.dropped} slow viewers dropped` : "";
  summary(`${up} of ${state.sources.length} sources up${viewers}`, up < state.sources.length);
}

function summary(text, bad) {
  byId("summary").textContent = text;
  byId("summary").classList.toggle("bad", bad);
}

function onEvent(event) {
  const list = byId("events");
  const item = document.createElement("li");
  item.className = event.kind;
  const time = document.createElement("time");
  time.textContent = new Date(event.time * 1000).toLocaleTimeString("en-GB");
  const kind = document.createElement("b");
  kind.textContent = `${event.source}: ${event.kind.replaceAll("_", " ")}`;
  const detail = document.createElement("span");
  detail.textContent = event.detail;
  item.append(time, kind, detail);
  list.querySelectorAll(".none").forEach((none) => none.remove());
  list.prepend(item);
  while (list.children.length > 100) { list.lastElementChild.remove(); }
  // The state comes with the next report; a loss is shown at once.
  const tile = tiles.get(event.source);
  if (tile && event.kind === "lost") {
    tile.root.dataset.state = "lost";
    tile.find(".state").textContent = "lost";
    tile.find(".notice").textContent = NOTICES.lost;
  }
}

function onHistory(history) {
  const known = byId("events").querySelectorAll("li:not(.none)");
  known.forEach((item) => item.remove());
  history.events.forEach(onEvent);
  tiles.forEach((tile) => { tile.ticks = []; });
  for (const tick of history.ticks) {
    for (const [name, stages] of Object.entries(tick)) {
      if (!tiles.has(name)) { tiles.set(name, new Tile(name)); }
      tiles.get(name).add(stages);
    }
  }
  if (tiles.size && byId("empty")) { byId("empty").remove(); }
  arrange();
}

function connect() {
  const events = new EventSource("events?results=0");
  events.addEventListener("history", (message) => onHistory(JSON.parse(message.data)));
  events.addEventListener("state", (message) => onState(JSON.parse(message.data)));
  events.addEventListener("event", (message) => onEvent(JSON.parse(message.data)));
  events.addEventListener("error", () => {
    // Browsers come back by themselves, but not after a refusal.
    if (events.readyState === EventSource.CLOSED) { setTimeout(connect, 2000); }
  });
}

setInterval(() => {
  if (lastMessage && Date.now() - lastMessage > 2500) { summary("no connection to edgepose", true); }
}, 500);
window.addEventListener("resize", () => tiles.forEach((tile) => tile.draw()));
connect();
