// Made by "deno task bundle"; the sources are in lib/web/app.
// lib/web/app/connection_state.ts
const $m0 = (() => {
const RETRY_MS = 2_000;
function watchConnection(url , show ) {
show("Connecting…");
const socket = new WebSocket(url);
socket.onopen = () => show("Connected");
socket.onclose = () => {
show("Not connected");
setTimeout(() => watchConnection(url, show), RETRY_MS);
};
}
return { watchConnection };
})();
// lib/web/app/app.ts
const $m1 = (() => {
const { watchConnection } = $m0;
const status = document.querySelector("#status");
watchConnection(new URL("/ws", location.href), (text) => status?.replaceChildren(text));
return {  };
})();
