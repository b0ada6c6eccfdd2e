/**
 * Whether the node can be reached, in words.
 *
 * @module
 */

const RETRY_MS = 2_000;

/** Connects, and again whenever that ends; `show` gets what to say about it. `url`: where, with http or https for its scheme. */
export function watchConnection(url: URL, show: (text: string) => void): void {
  show("Connecting…");
  const socket = new WebSocket(url);
  socket.onopen = () => show("Connected");
  socket.onclose = () => {
    show("Not connected");
    setTimeout(() => watchConnection(url, show), RETRY_MS);
  };
}
