// Made by "deno task bundle"; the sources are in lib/web/app.
// lib/web/app/dom.ts
const $m0 = (() => {
function el (
tag ,
attributes = {},
...children
) {
const element = document.createElement(tag);
setAttributes(element, attributes);
element.append(...present(children));
return element;
}
function setAttributes(element , attributes ) {
for (const [name, value] of Object.entries(attributes)) {
if (typeof value === "function") element.addEventListener(name.slice(2), value );
else if (name === "value" || name === "checked") Object.assign(element, { [name]: value });
else if (value === undefined || value === null || value === false) element.removeAttribute(name);
else element.setAttribute(name, value === true ? "" : String(value));
}
}
function replace(parent , ...children ) {
parent.replaceChildren(...present(children));
}
function present(children ) {
return children.filter((child) =>
child !== undefined && child !== null && child !== false
);
}
const SVG = "http://www.w3.org/2000/svg";
function icon(path , className = "") {
const svg = document.createElementNS(SVG, "svg");
svg.setAttribute("viewBox", "0 0 24 24");
svg.setAttribute("aria-hidden", "true");
svg.setAttribute("class", `icon ${className}`.trim());
const shape = document.createElementNS(SVG, "path");
shape.setAttribute("d", path);
svg.append(shape);
return svg;
}
return { el, replace, icon };
})();
// lib/web/app/forms.ts
const $m1 = (() => {
const { el } = $m0;
function field(
label ,
attributes ,
) {
const input = el("input", { class: "input", type: "text", ...attributes });
return { element: el("label", { class: "field" }, el("span", {}, label), input), input };
}
function choice(
label ,
options ,
value ,
) {
const input = el(
"select",
{ class: "input" },
...options.map(([option, text]) => el("option", { value: option }, text)),
);
input.value = value;
return { element: el("label", { class: "field" }, el("span", {}, label), input), input };
}
function form(
parts ,
submit ,
onSubmit ,
look = "main",
) {
const problem = el("p", { class: "problem", role: "alert", hidden: true });
const button = el("button", { type: "submit", class: `button ${look}` }, submit);
const element = el(
"form",
{
class: "form",
novalidate: true,
onsubmit: async (event ) => {
event.preventDefault();
if (button.disabled) return;
button.disabled = true;
problem.style.visibility = "hidden";
const text = await onSubmit().catch((error ) => String(error));
button.disabled = false;
problem.style.visibility = "";
problem.hidden = text === "";
problem.textContent = text;
},
},
...parts,
problem,
button,
);
return element;
}
return { field, choice, form };
})();
// lib/web/app/operators/api.ts
const $m2 = (() => {
class Refused extends Error {
status ;
constructor(status , message ) {
super(message);
this.status = status;
}
}
async function ask (path , init = {}) {
const response = await fetch(path, { credentials: "same-origin", ...init });
const text = await response.text();
if (response.ok) return JSON.parse(text);
throw new Refused(response.status, problemOf(text));
}
function problemOf(text ) {
try {
return String(JSON.parse(text).problem);
} catch {
return text.trim();
}
}
function post (path , fields ) {
return ask(path, {
method: "POST",
headers: { "content-type": "application/json" },
body: JSON.stringify(fields),
});
}
function getState(from ) {
return ask(`api/state?from=${from}`);
}
function look (what , of ) {
return post("api/look", { what, of });
}
function act(what , of , name = "") {
return post("api/act", { what, of, name });
}
return { Refused, post, getState, look, act };
})();
// lib/web/app/operators/numbers.ts
const $m3 = (() => {
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
function count(value ) {
return (Math.abs(value) < 10 ? fine : plain).format(value);
}
function duration(ms ) {
return ms >= 1_000 ? `${fine.format(ms / 1_000)} s` : `${count(ms)} ms`;
}
function bytes(value ) {
let unit = 0;
let rest = value;
while (rest >= 1_024 && unit < UNITS.length - 1) {
rest /= 1_024;
unit++;
}
return `${unit === 0 ? plain.format(rest) : count(rest)} ${UNITS[unit]}`;
}
function span(ms ) {
const seconds = Math.max(0, Math.round(ms / 1_000));
if (seconds < 60) return `${seconds} s`;
if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
return `${Math.floor(seconds / 86_400)} d`;
}
function timeOfDay(at ) {
return new Date(at).toLocaleTimeString("en-GB");
}
function moment(at ) {
const date = new Date(at);
const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
function two(value ) {
return String(value).padStart(2, "0");
}
return { count, duration, bytes, span, timeOfDay, moment };
})();
// lib/web/app/operators/charts.ts
const $m4 = (() => {
const { el } = $m0;
const { bytes, count, duration, timeOfDay } = $m3;
const MOST_ROWS = 360;
const LEAST_ROWS = 30;
const HEIGHT = 56;
const WIDTH = 1_000;
const SVG = "http://www.w3.org/2000/svg";
const PLANS = [
{ title: "Messages a second", columns: ["rate"], text: count },
{
title: "Acknowledgement",
columns: ["ackP99", "ackP50"],
names: ["p99", "p50"],
text: duration,
alarm: ["ChatAcksSlow", 1_000],
},
{
title: "Commit",
columns: ["commitP99", "commitP50"],
names: ["p99", "p50"],
text: duration,
alarm: ["ChatCommitsSlow", 500],
},
{ title: "Messages in a batch", columns: ["batch"], text: count },
{ title: "Connections", columns: ["connections"], text: count },
{ title: "Errors in the log", columns: ["errors"], text: count, alarm: ["ChatErrors", 5] },
{ title: "Event loop lag", columns: ["lag"], text: duration, alarm: ["ChatLoopLate", 500] },
{ title: "Waiting for clients", columns: ["queue"], text: bytes, alarm: ["ChatQueuesGrow", 67_108_864] },
];
class Charts {
element ;
#charts ;
#moment ;
#series = { columns: [], rows: [], at: 0, stepMs: 10_000 };
#back ;
constructor() {
this.#charts = PLANS.map((plan) => new Chart(plan));
this.#moment = el("span", { class: "secondary" });
const grid = el(
"div",
{
class: "charts",
tabindex: 0,
role: "group",
"aria-label": "Charts of the last hour. Arrow keys go back and forth in time.",
onpointermove: (event ) => this.#point(event),
onpointerleave: () => this.#read(undefined),
onkeydown: (event ) => this.#step(event),
onblur: () => this.#read(undefined),
},
...this.#charts.map(({ element }) => element),
);
this.element = el(
"section",
{},
el("div", { class: "head" }, el("h2", {}, "Last hour of this node"), this.#moment),
grid,
);
}
show(series ) {
this.#series = series;
for (const chart of this.#charts) chart.draw(series);
this.#read(this.#back);
}
#point({ target, clientX } ) {
const plot = target instanceof Element ? target.closest(".plot") : null;
if (!plot) return this.#read(undefined);
const { left, width } = plot.getBoundingClientRect();
this.#read(Math.round((1 - (clientX - left) / width) * (widthOf(this.#series.rows) - 1)));
}
#step(event ) {
const by = event.key === "ArrowLeft" ? 1 : event.key === "ArrowRight" ? -1 : 0;
if (event.key === "Escape") this.#read(undefined);
if (by === 0) return;
event.preventDefault();
const back = (this.#back ?? -1) + by * (event.shiftKey ? 30 : 1);
this.#read(back < 0 ? undefined : back);
}
#read(back ) {
const { rows, at, stepMs } = this.#series;
this.#back = back === undefined || rows.length === 0 ? undefined : Math.min(back, rows.length - 1);
const shown = this.#back;
this.#moment.textContent = shown === undefined
? "a value every 10 s"
: `at ${timeOfDay(at - shown * stepMs)}`;
for (const chart of this.#charts) chart.read(shown);
}
}
class Chart {
element ;
#plan ;
#value = el("span", { class: "value" });
#second = el("span", { class: "secondary" });
#range = el("span", { class: "secondary" });
#alarm = el("span", { class: "alarm", hidden: true });
#lines ;
#cursor ;
#plot ;
#values = [];
constructor(plan ) {
this.#plan = plan;
const plot = this.#plot = svg("svg", { class: "plot", role: "img" });
plot.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
plot.setAttribute("preserveAspectRatio", "none");
this.#lines = plan.columns.map((_, index) => svg("polyline", { class: `line line-${index}` }));
this.#cursor = svg("line", { class: "cursor", y1: "0", y2: String(HEIGHT) });
plot.append(...this.#lines.toReversed(), this.#cursor);
this.element = el(
"div",
{ class: "chart" },
el("div", { class: "chart-title" }, el("h3", {}, plan.title), this.#range),
el("div", { class: "chart-values" }, this.#value, this.#second, this.#alarm),
plot,
);
}
draw({ columns, rows } ) {
const { columns: own, text, title, alarm } = this.#plan;
this.#values = own.map((name) => {
const index = columns.indexOf(name);
return rows.slice(-MOST_ROWS).map((row) => row[index] ?? 0);
});
const all = this.#values.flat();
const most = Math.max(0, ...all);
const first = this.#values[0] ?? [];
for (const [index, line] of this.#lines.entries()) {
line.setAttribute("points", pointsOf(this.#values[index] ?? [], most));
}
this.#range.textContent = first.length === 0
? ""
: `${text(Math.min(...first))} – ${text(Math.max(...first))}`;
const now = first.at(-1) ?? 0;
const isAlarming = alarm !== undefined && now > alarm[1];
this.element.classList.toggle("alarming", isAlarming);
this.#alarm.hidden = !isAlarming;
this.#alarm.textContent = isAlarming ? alarm[0] : "";
this.#plot.setAttribute("aria-label", `${title}: now ${text(now)}, ${this.#range.textContent}`);
}
read(back ) {
const { text, names } = this.#plan;
const values = this.#values.map((column) => column.at(-1 - (back ?? 0)));
const [first, second] = values;
this.#value.textContent = first === undefined ? "–" : text(first);
this.#second.textContent = names === undefined || second === undefined
? ""
: `${names[0]} · ${names[1]} ${text(second)}`;
this.#cursor.style.display = back === undefined ? "none" : "";
const rows = widthOf(this.#values[0] ?? []);
const x = String(xOf(rows - 1 - (back ?? 0), rows));
this.#cursor.setAttribute("x1", x);
this.#cursor.setAttribute("x2", x);
}
}
function pointsOf(values , most ) {
const rows = widthOf(values);
const from = rows - values.length;
const scale = most === 0 ? 0 : (HEIGHT - 4) / most;
return values.map((value, index) => `${xOf(from + index, rows)},${(HEIGHT - 1 - value * scale).toFixed(1)}`)
.join(" ");
}
function widthOf({ length } ) {
return Math.min(MOST_ROWS, Math.max(LEAST_ROWS, length));
}
function xOf(row , rows ) {
return Math.round(row * WIDTH / (rows - 1));
}
function svg (
tag ,
attributes ,
) {
const element = document.createElementNS(SVG, tag);
for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
return element;
}
return { Charts };
})();
// lib/web/app/operators/table.ts
const $m5 = (() => {
const { el, replace } = $m0;
const TOLD_MS = 2_000;
class Table {
element ;
#columns ;
#empty ;
#head = el("thead");
#body = el("tbody");
#none = el("p", { class: "secondary", hidden: true });
#rows = [];
#by = -1;
#isDown = false;
constructor(label , columns , empty ) {
this.#columns = columns;
this.#empty = empty;
this.element = el(
"div",
{ class: "table" },
el("table", { "aria-label": label }, this.#head, this.#body),
this.#none,
);
this.#drawHead();
}
copyButton() {
const button = el("button", {
type: "button",
class: "button small",
onclick: async () => {
const rows = [...this.element.querySelectorAll("tr")].map((row) =>
[...row.cells].map(({ textContent }) => textContent?.replace(/\s+/g, " ").trim()).join("\t")
);
const isCopied = await navigator.clipboard.writeText(rows.join("\n")).then(() => true, () => false);
button.textContent = isCopied ? "Copied" : "Cannot copy";
setTimeout(() => button.textContent = "Copy", TOLD_MS);
},
}, "Copy");
return button;
}
show(rows ) {
this.#rows = rows;
this.#draw();
}
#sort(column ) {
this.#isDown = this.#by === column && !this.#isDown;
this.#by = column;
this.#drawHead();
this.#draw();
this.#head.querySelectorAll("th")[column]?.querySelector("button")?.focus();
}
#drawHead() {
const cells = this.#columns.map(({ head, key, isNumber }, index) => {
const isBy = this.#by === index;
const mark = isBy ? this.#isDown ? " ↓" : " ↑" : "";
return el(
"th",
{
scope: "col",
class: isNumber && "number",
"aria-sort": isBy ? this.#isDown ? "descending" : "ascending" : null,
},
key ? el("button", { type: "button", onclick: () => this.#sort(index) }, head + mark) : head,
);
});
replace(this.#head, el("tr", {}, ...cells));
}
#focused() {
const cell = document.activeElement?.closest("td");
const row = cell?.parentElement;
if (!cell || !(row instanceof HTMLTableRowElement) || !this.#body.contains(row)) return undefined;
return { row: row.sectionRowIndex, cell: cell.cellIndex };
}
#draw() {
const key = this.#columns[this.#by]?.key;
const rows = key
? this.#rows.toSorted((a, b) => compare(key(a), key(b)) * (this.#isDown ? -1 : 1))
: this.#rows;
const focused = this.#focused();
replace(
this.#body,
...rows.map((row) =>
el(
"tr",
{},
...this.#columns.map(({ cell, isNumber }) =>
el("td", { class: isNumber && "number", dir: "auto" }, cell(row))
),
)
),
);
if (focused) {
this.#body.rows[focused.row]?.cells[focused.cell]?.querySelector ("a, button")?.focus();
}
this.#head.hidden = rows.length === 0;
this.#none.hidden = rows.length > 0;
this.#none.textContent = this.#empty;
}
}
function compare(a , b ) {
return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
return { Table };
})();
// lib/web/app/operators/overview.ts
const $m6 = (() => {
const { el, replace } = $m0;
const { Charts } = $m4;
const { bytes, count, duration, moment, span } = $m3;
const { Table } = $m5;
const GONE_MS = 15_000;
const ROWS = 360;
class Overview {
element ;
next = 0;
#charts = new Charts();
#nodes ;
#summary = el("dl", { class: "summary" });
#limits ;
#lines ;
#problems = el("div", { class: "banner", role: "alert", hidden: true });
#rows = [];
#self = "";
constructor() {
this.#nodes = new Table ("Nodes", [
{ head: "Node", key: ({ node }) => node, cell: (row) => this.#nameOf(row) },
{
head: "Up",
key: ({ since }) => -since,
cell: ({ since, ageMs }) =>
ageMs > GONE_MS
? el("span", { class: "bad" }, `silent for ${span(ageMs)}`)
: span(Date.now() - since),
isNumber: true,
},
{ head: "Users", key: ({ users }) => users, cell: ({ users }) => count(users), isNumber: true },
{
head: "Devices",
key: ({ devices }) => devices,
cell: ({ devices }) => count(devices),
isNumber: true,
},
{
head: "Connections",
key: ({ connections }) => connections,
cell: ({ connections }) => count(connections),
isNumber: true,
},
{ head: "Messages/s", key: ({ rate }) => rate, cell: ({ rate }) => count(rate), isNumber: true },
{ head: "Lag", key: ({ lagMs }) => lagMs, cell: ({ lagMs }) => duration(lagMs), isNumber: true },
{
head: "Queue",
key: ({ queueBytes }) => queueBytes,
cell: ({ queueBytes }) => bytes(queueBytes),
isNumber: true,
},
{ head: "Version", key: ({ version }) => version, cell: ({ version }) => version },
], "No node has said anything.");
this.#limits = new Table ("Limits hit", [
{ head: "Limit", key: ([limit]) => limit, cell: ([limit]) => limit },
{
head: "Refused or slowed",
key: ([, times]) => times,
cell: ([, times]) => count(times),
isNumber: true,
},
], "None since the node was started.");
this.#lines = new Table ("Warnings and errors", [
{ head: "When", cell: ({ at }) => el("span", { class: "nowrap" }, moment(at)) },
{ head: "", cell: ({ level }) => el("span", { class: level === "error" && "bad" }, level) },
{ head: "What", cell: ({ message, fields }) => el("span", {}, message, detailsOf(fields)) },
], "None since the node was started.");
this.element = el(
"main",
{ id: "overview" },
this.#problems,
el(
"section",
{},
el("div", { class: "head" }, el("h2", {}, "Nodes"), this.#nodes.copyButton()),
this.#nodes.element,
),
this.#charts.element,
el(
"div",
{ class: "columns" },
el("section", {}, el("h2", {}, "Redis and database"), this.#summary),
el("section", {}, el("h2", {}, "Limits hit"), this.#limits.element),
),
el(
"section",
{},
el(
"div",
{ class: "head" },
el("h2", {}, "Warnings and errors, the newest first"),
this.#lines.copyButton(),
),
this.#lines.element,
),
);
}
show(state ) {
const { node, nodes, problems, lines, limited } = state;
this.#self = node;
const isAnew = state.first !== this.next;
this.#rows = [...(isAnew ? [] : this.#rows), ...state.rows].slice(-ROWS);
this.next = isAnew && state.rows.length === 0 ? 0 : state.first + state.rows.length;
this.#charts.show({ columns: state.columns, rows: this.#rows, at: state.at, stepMs: state.stepMs });
this.#nodes.show(nodes);
this.#limits.show(Object.entries(limited).filter(([, times]) => times > 0));
this.#lines.show(lines.newest);
this.#problems.hidden = problems.length === 0;
this.#problems.textContent = problems.length === 0
? ""
: `This node is not ready: ${problems.join("; ")}`;
replace(
this.#summary,
...summaryOf(state).flatMap(([name, value, isBad]) => [
el("dt", {}, name),
el("dd", { class: isBad && "bad" }, value),
]),
);
}
#nameOf({ node, http, ageMs } ) {
const isSelf = node === this.#self;
const state = ageMs > GONE_MS ? "gone" : "up";
const mark = el("span", { class: `dot ${state}`, role: "img", "aria-label": state });
return el(
"span",
{ class: "node" },
mark,
el(
"span",
{},
node,
isSelf && el("span", { class: "secondary" }, ` this one, ${http}`),
!isSelf && el("span", { class: "secondary" }, ` ${http}`),
),
);
}
}
function summaryOf(
{ redis, pool, lines: { counts } } ,
) {
const redisText = redis === null
? "none: this node is alone"
: redis
? "does what is needed"
: "away: nobody can log in";
const rows = [["Redis", redisText, redis === false]];
if (pool === null) rows.push(["Database", "SQLite, inside the node", false]);
else {
const { idle = 0, borrowed = 0, creating = 0, checking = 0, pending = 0, timeouts = 0 } = pool;
rows.push(
[
"Connections",
`${borrowed} at work, ${idle} idle, ${creating + checking} being made or checked`,
false,
],
["Statements that wait", count(pending), pending > 0],
["Waits given up", count(timeouts), timeouts > 0],
);
}
rows.push([
"Lines of the log",
`${count(counts.error ?? 0)} errors, ${count(counts.warn ?? 0)} warnings`,
false,
]);
return rows;
}
function detailsOf(fields ) {
const text = Object.entries(fields)
.filter(([, value]) => value !== undefined && value !== null)
.map(([name, value]) => `${name}: ${value}`).join(", ");
return text === "" ? undefined : el("span", { class: "secondary" }, ` ${text}`);
}
return { Overview };
})();
// lib/web/app/operators/dialogs.ts
const $m7 = (() => {
const { el } = $m0;
const { field, form } = $m1;
function confirmDeed({ title, text, name, label, button, run } ) {
const { promise, resolve } = Promise.withResolvers ();
const { element, input } = field(label ?? `Type ${name} to go on`, {
required: true,
autocomplete: "off",
maxlength: 1_000,
});
let isDone = false;
const content = form([el("p", {}, text), element], button, async () => {
if (name !== undefined && input.value !== name) return `That is not ${name}.`;
if (input.value.trim() === "") return "There is nothing to say.";
try {
await run(input.value);
} catch (error) {
return error instanceof Error ? error.message : String(error);
}
isDone = true;
dialog.close();
return "";
});
if (name !== undefined) content.querySelector("button")?.classList.add("danger");
const dialog = open(title, content, () => resolve(isDone));
input.focus();
return promise;
}
function say(title , text , lines ) {
const { promise, resolve } = Promise.withResolvers ();
const [code, ...others] = lines;
open(
title,
el(
"div",
{ class: "form" },
el("p", {}, text),
code !== undefined && el("code", { class: "code" }, code),
...others.map((line) => el("p", { class: "secondary" }, line)),
),
resolve,
);
return promise;
}
function open(title , content , onClose ) {
const dialog = el(
"dialog",
{
"aria-label": title,
onclose: () => {
dialog.remove();
onClose();
},
},
el(
"div",
{ class: "head" },
el("h2", { dir: "auto" }, title),
el("button", { type: "button", class: "button small", onclick: () => dialog.close() }, "Close"),
),
content,
);
document.body.append(dialog);
dialog.showModal();
return dialog;
}
return { confirmDeed, say };
})();
// lib/web/app/operators/people.ts
const $m8 = (() => {
const { el, replace } = $m0;
const { act, look } = $m2;
const { confirmDeed, say } = $m7;
const { moment } = $m3;
const { Table } = $m5;
const PAUSE_MS = 200;
class People {
element ;
#input ;
#users ;
#groups ;
#details = el("section", { class: "details", "aria-live": "polite", hidden: true });
#problem = el("p", { class: "problem", role: "alert", hidden: true });
#searches = 0;
#timer ;
constructor() {
this.#input = el("input", {
class: "input",
type: "search",
placeholder: "Name, as it begins, or id",
"aria-label": "Find users and groups",
oninput: () => {
clearTimeout(this.#timer);
this.#timer = setTimeout(() => void this.open(), PAUSE_MS);
},
});
this.#users = new Table ("Users", [
{ head: "Id", key: ({ id }) => id, cell: ({ id }) => String(id) },
{
head: "Name",
key: ({ name }) => name,
cell: ({ id, name }) => this.#opener(name, () => this.#showUser(id)),
},
{ head: "State", key: ({ state }) => state, cell: stateOf },
{ head: "Account", key: ({ status }) => status, cell: accountOf },
], "Nobody has a name that begins like this.");
this.#groups = new Table ("Groups", [
{ head: "Id", key: ({ id }) => id, cell: ({ id }) => String(id) },
{
head: "Name",
key: ({ groupname }) => groupname,
cell: ({ id, groupname, dissolved }) =>
el(
"span",
{},
this.#opener(groupname, () => this.#showGroup(id)),
dissolved > 0 && el("span", { class: "bad" }, " dissolved"),
),
},
{ head: "Description", key: ({ groupdesc }) => groupdesc, cell: ({ groupdesc }) => groupdesc },
], "No group has a name that begins like this.");
this.element = el(
"main",
{ id: "people" },
el(
"div",
{ class: "bar" },
this.#input,
el("button", { type: "button", class: "button", onclick: () => void invite() }, "Invite…"),
el("button", { type: "button", class: "button", onclick: () => void announce() }, "Announce…"),
),
this.#problem,
this.#details,
el(
"div",
{ class: "columns" },
el("section", {}, el("h2", {}, "Users"), this.#users.element),
el("section", {}, el("h2", {}, "Groups"), this.#groups.element),
),
);
}
async open() {
const search = ++this.#searches;
const text = this.#input.value.trim();
await this.#try(async () => {
const [{ users }, { groups }] = await Promise.all([
look ("users", text),
look ("groups", text),
]);
if (search !== this.#searches) return;
this.#users.show(users);
this.#groups.show(groups);
});
}
async #try(work ) {
this.#problem.hidden = true;
try {
await work();
} catch (error) {
this.#problem.hidden = false;
this.#problem.textContent = textOf(error);
}
}
#opener(text , open ) {
return el("button", { type: "button", class: "link", onclick: () => void this.#try(open) }, text);
}
#open(title , about , deeds , ...parts ) {
const close = () => this.#details.hidden = true;
replace(
this.#details,
el(
"div",
{ class: "head" },
el("h2", { tabindex: -1, dir: "auto" }, title),
el("button", { type: "button", class: "button small", onclick: close }, "Close"),
),
about,
deeds.length > 0 && el("div", { class: "deeds" }, ...deeds),
...parts,
);
this.#details.hidden = false;
this.#details.querySelector("h2")?.focus();
}
async #showUser(id ) {
const user = await look ("user", String(id));
const { name, groups, devices, status } = user;
const again = async () => {
await this.#showUser(id);
await this.open();
};
const devicesTable = new Table ("Devices", [
{ head: "Device", cell: ({ name }) => name },
{ head: "Last seen", cell: ({ seen }) => moment(seen) },
{ head: "Token", cell: ({ hasToken }) => hasToken ? "good" : "none" },
], "No devices of version 3.");
devicesTable.show(devices);
const groupsTable = new Table ("Groups of this user", [
{ head: "Group", cell: ({ id, groupname }) => this.#opener(groupname, () => this.#showGroup(id)) },
{ head: "Role", cell: ({ role }) => role },
], "In no group.");
groupsTable.show(groups);
this.#open(
`${name} (${id})`,
el("p", {}, stateOf(user), ", account ", accountOf(user)),
status === "deleted" ? [] : deedsOf(user, again),
el("div", { class: "columns" }, devicesTable.element, groupsTable.element),
);
}
async #showGroup(id ) {
const { groupname, groupdesc, members, more, dissolved, first_seq = 1, last_seq = 0 } = await look
("group", String(id));
const dissolve = async () => {
const isDone = await confirmDeed({
title: `Dissolve ${groupname}?`,
text:
"It is over for good: nobody is a member any more, and its name is free. What was said stays in the log.",
name: groupname,
button: "Dissolve",
run: (typed) => act("dissolve", String(id), typed),
});
if (!isDone) return;
await this.#showGroup(id);
await this.open();
};
const table = new Table ("Members", [
{ head: "Member", cell: ({ id, name }) => this.#opener(name, () => this.#showUser(id)) },
{ head: "State", cell: stateOf },
{ head: "Role", cell: ({ role }) => role },
], "Nobody is in it.");
table.show(members);
const places = last_seq === 0 ? "Nothing has been said." : `Log from ${first_seq} to ${last_seq}.`;
this.#open(
`${groupname} (group ${id})`,
el("p", { class: "secondary", dir: "auto" }, groupdesc === "" ? places : `${groupdesc} · ${places}`),
dissolved > 0 ? [] : [deedButton("Dissolve…", dissolve, true)],
table.element,
more &&
el("p", { class: "secondary" }, "There are more members: chatserver admin groups show has them all."),
);
}
}
function stateOf({ state } ) {
const mark = el("span", { class: `dot ${state === "online" ? "up" : "off"}`, "aria-hidden": "true" });
return el("span", { class: "nowrap" }, mark, state);
}
function accountOf({ status, administrator } ) {
return el(
"span",
{ class: status !== "active" && "bad" },
administrator ? `${status}, administrator` : status,
);
}
function deedsOf({ id, name, status } , again ) {
const who = String(id);
const disable = async () => {
const isDone = await confirmDeed({
title: `Disable ${name}?`,
text:
"All sessions end, and nobody can log in as this user until it is enabled again. Nothing is deleted.",
name,
button: "Disable",
run: (typed) => act("disable", who, typed),
});
if (isDone) await again();
};
const enable = async () => {
await act("enable", who);
await again();
};
const end = async () => {
const isDone = await confirmDeed({
title: `End all sessions of ${name}?`,
text: "The user is logged out everywhere, and has to give the password again.",
name,
button: "End sessions",
run: (typed) => act("end", who, typed),
});
if (isDone) await again();
};
const code = async () => {
const { lines } = await act("code", who);
await say(
`A code for ${name}`,
"With this, the user chooses a new password. It is shown only now.",
lines,
);
};
return [
deedButton("Password code", code),
status === "disabled" ? deedButton("Enable", enable) : deedButton("Disable…", disable, true),
deedButton("End sessions…", end, true),
];
}
function deedButton(text , run , isDangerous = false) {
return el("button", {
type: "button",
class: `button${isDangerous ? " danger" : ""}`,
onclick: () => void run().catch((error ) => say("It was not done", textOf(error), [])),
}, text);
}
function textOf(error ) {
return error instanceof Error ? error.message : String(error);
}
async function invite() {
try {
const { lines } = await act("invite", "");
await say("An invitation", "With this code one person can sign up. It is shown only now.", lines);
} catch (error) {
await say("It was not done", textOf(error), []);
}
}
async function announce() {
await confirmDeed({
title: "Announce",
text: "Everybody who is online reads this, once.",
label: "Text",
button: "Announce",
run: (typed) => act("announce", typed),
});
}
return { People };
})();
// lib/web/app/prefs.ts
const $m9 = (() => {
const DEFAULTS = {
theme: "system",
language: "",
hasDetails: false,
notify: "off",
isNotifySettled: false,
};
const KEY = "prefs";
function load() {
try {
const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
return { ...DEFAULTS, ...(kept ) };
} catch {
return { ...DEFAULTS };
}
}
const prefs = load();
function setPref (name , value ) {
prefs[name] = value;
try {
localStorage.setItem(KEY, JSON.stringify(prefs));
} catch {
}
}
function forgetPrefs() {
try {
localStorage.removeItem(KEY);
} catch {
}
}
function applyTheme() {
if (prefs.theme === "system") delete document.documentElement.dataset.theme;
else document.documentElement.dataset.theme = prefs.theme;
}
return { prefs, setPref, forgetPrefs, applyTheme };
})();
// lib/web/app/operators.ts
const $m10 = (() => {
const { el, replace } = $m0;
const { field, form } = $m1;
const { getState, look, post, Refused } = $m2;
const { moment, timeOfDay } = $m3;
const { Overview } = $m6;
const { People } = $m8;
const { Table } = $m5;
const { applyTheme, prefs, setPref } = $m9;
const LOOK_MS = 5_000;
const DEADLINE_MS = 8_000;
const VIEWS = ["overview", "people", "audit"] ;
const TITLES = {
overview: "Overview",
people: "Users and groups",
audit: "Audit",
};
const THEMES = {
system: "light",
light: "dark",
dark: "system",
};
class Desk {
#overview = new Overview();
#people = new People();
#audit ;
#auditElement ;
#title = el("h1", {}, "…");
#banner = el("div", { class: "banner", role: "alert", hidden: true });
#tabs ;
#stage = el("div", { class: "stage" });
#onLeave ;
#onHash = () => this.#route();
#timer ;
#isOver = false;
#answeredAt = Date.now();
constructor(onLeave ) {
this.#onLeave = onLeave;
this.#audit = new Table ("What operators have done", [
{ head: "When", key: ({ at }) => at, cell: ({ at }) => el("span", { class: "nowrap" }, moment(at)) },
{ head: "What", key: ({ what }) => what, cell: ({ what }) => what },
{
head: "User",
key: ({ userId }) => userId ?? 0,
cell: ({ userId }) => userId === null ? "" : String(userId),
},
{ head: "By", key: ({ actor }) => actor, cell: ({ actor }) => actor },
{ head: "", cell: ({ detail }) => detailOf(detail) },
], "Nothing yet.");
this.#auditElement = el(
"main",
{ id: "audit" },
el(
"section",
{},
el(
"div",
{ class: "head" },
el("h2", {}, "What operators have done, the newest first"),
this.#audit.copyButton(),
),
this.#audit.element,
),
);
this.#tabs = VIEWS.map((view) => el("a", { href: `#${view}` }, TITLES[view]));
replace(
document.body,
el(
"header",
{},
this.#title,
el("nav", { "aria-label": "Views" }, ...this.#tabs),
themeButton(),
el(
"button",
{ type: "button", class: "button small", onclick: () => void this.#logOut() },
"Log out",
),
),
this.#banner,
this.#stage,
);
addEventListener("hashchange", this.#onHash);
this.#route();
void this.#look();
}
#route() {
const view = VIEWS.find((name) => location.hash === `#${name}`) ?? "overview";
for (const [index, tab] of this.#tabs.entries()) {
if (VIEWS[index] === view) tab.setAttribute("aria-current", "page");
else tab.removeAttribute("aria-current");
}
if (view === "overview") replace(this.#stage, this.#overview.element);
if (view === "people") {
replace(this.#stage, this.#people.element);
void this.#people.open();
}
if (view === "audit") {
replace(this.#stage, this.#auditElement);
void this.#showAudit();
}
}
async #showAudit() {
try {
this.#audit.show((await look ("audit", "")).events);
} catch (error) {
this.#fail(error);
}
}
async #look() {
try {
const state = await Promise.race([
getState(this.#overview.next),
new Promise ((_, reject) => setTimeout(() => reject(new Error("no answer")), DEADLINE_MS)),
]);
if (this.#isOver) return;
this.#answeredAt = Date.now();
this.#banner.hidden = true;
this.#title.textContent = `Node ${state.node}`;
document.title = state.problems.length > 0 ? `⚠ ${state.node}` : state.node;
this.#overview.show(state);
} catch (error) {
this.#fail(error);
}
if (!this.#isOver) this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
}
#fail(error ) {
if (error instanceof Refused && error.status === 401) return this.#close();
this.#banner.hidden = false;
this.#banner.textContent = error instanceof Refused
? `The node says: ${error.message}`
: `The node has not answered since ${timeOfDay(this.#answeredAt)}. It is asked again every 5 s.`;
}
async #logOut() {
try {
await post("api/logout", {});
this.#close();
} catch (error) {
this.#fail(error);
}
}
#close() {
if (this.#isOver) return;
this.#isOver = true;
clearTimeout(this.#timer);
removeEventListener("hashchange", this.#onHash);
document.title = "Operators";
for (const dialog of document.querySelectorAll("dialog")) dialog.close();
this.#onLeave();
}
}
function detailOf(detail ) {
const text = Object.entries(detail).map(([name, value]) => `${name}: ${value}`).join(", ");
return el("span", { class: "secondary" }, text);
}
function themeButton() {
const text = () => `Theme: ${prefs.theme}`;
const button = el("button", {
type: "button",
class: "button small",
onclick: () => {
setPref("theme", THEMES[prefs.theme] ?? "system");
applyTheme();
button.textContent = text();
},
}, text());
return button;
}
function showEntry() {
const name = field("Name", { name: "username", autocomplete: "username", required: true, maxlength: 200 });
const password = field("Password", {
name: "password",
type: "password",
autocomplete: "current-password",
required: true,
maxlength: 2_000,
});
const content = form([name.element, password.element], "Log in", async () => {
try {
await post("api/login", { name: name.input.value, password: password.input.value });
} catch (error) {
return error instanceof Refused ? error.message : "The node does not answer. Try again.";
}
new Desk(showEntry);
return "";
});
replace(
document.body,
el(
"main",
{ class: "entry" },
el("h1", {}, "Operators"),
el(
"p",
{ class: "secondary" },
"For users with the role of an administrator: chatserver admin grant USER.",
),
content,
),
);
name.input.focus();
}
async function start() {
try {
await getState(0);
new Desk(showEntry);
} catch (error) {
if (error instanceof Refused && error.status !== 401) {
replace(
document.body,
el("main", { class: "entry" }, el("h1", {}, "Operators"), el("p", {}, error.message)),
);
} else showEntry();
}
}
applyTheme();
void start();
return {  };
})();
