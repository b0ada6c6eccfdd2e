/**
 * The page's program.
 *
 * @module
 */

import { readPageLink } from "../../protocol/page_links.ts";
import { EntryView } from "./entry_view.ts";
import { DELETED_SEARCH, Model } from "./model.ts";
import { applyTheme, prefs } from "./prefs.ts";
import { Shell } from "./shell.ts";
import { createDialer } from "./socket.ts";
import { languageTag, setLanguage } from "./texts.ts";

const model = new Model(createDialer(new URL(location.href)));
let shell: Shell | undefined;
let entry: EntryView | undefined;
/** Was in the address; it is used once, and is not to be in the browser's history. */
let link = readPageLink(location.hash);
const isDeleted = location.search === DELETED_SEARCH;
if (link !== undefined || isDeleted) history.replaceState(null, "", location.pathname);

function speak(): void {
  setLanguage(prefs.language, navigator.languages);
  document.documentElement.lang = languageTag();
}

/** Puts into the page what belongs there now. */
function show(): void {
  // Whoever is logged in may choose a new password as well.
  if (model.account?.token === undefined || link?.kind === "reset") {
    shell?.close();
    shell = undefined;
    if (entry !== undefined) return;
    entry = new EntryView(model, { link, isDeleted, onLanguage: again, onReset: () => link = undefined });
    document.body.replaceChildren(entry.element);
    entry.focus();
  } else if (shell === undefined) {
    entry = undefined;
    document.body.replaceChildren();
    shell = new Shell(model, again);
    document.body.prepend(shell.element);
    if (link?.kind === "join") shell.join(link.code);
    link = undefined;
  }
}

/** All texts are made anew. */
function again(): void {
  speak();
  shell?.close();
  shell = undefined;
  entry = undefined;
  show();
}

applyTheme();
speak();
model.listen((topics) => {
  if (topics.has("account")) show();
});
addEventListener("hashchange", () => {
  if (readPageLink(location.hash) !== undefined) location.reload();
});
void model.start();
