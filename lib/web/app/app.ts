/**
 * The page's program: holds a connection to the node that the page came from.
 *
 * @module
 */
import { watchConnection } from "./connection_state.ts";

const status = document.querySelector("#status");
watchConnection(new URL("/ws", location.href), (text) => status?.replaceChildren(text));
