/**
 * The yardstick for what is told to many connections: the least that this runtime needs to write small frames, each to a
 * connection that has had none for a while.
 *
 *     bare_writes.ts CONNECTIONS FRAMES_A_SECOND
 *
 * Prints `ready PORT`, and writes once all connections are there.
 *
 * @module
 */

/** From one burst to the next, ms: as the server looks who has come and gone. */
const BURST_MS = 250;

const [connections = 0, perSecond = 0] = Deno.args.map(Number);
const encoder = new TextEncoder();
const sockets: Deno.TcpConn[] = [];

/** Each in its turn, in an order in which neighbours are far apart. */
function write(count: number): void {
  const frame = encoder.encode(
    `{"msgid":31,"id":${count % connections},"state":"online","at":${Date.now()}}\n`,
  );
  sockets[(count * 7_919) % connections]?.write(frame).catch(() => {});
}

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(`ready ${listener.addr.port}`);
for await (const socket of listener) {
  socket.setNoDelay(true);
  if (sockets.push(socket) === connections) break;
}
let count = 0;
setInterval(() => {
  for (const end = count + perSecond * BURST_MS / 1_000; count < end; count++) write(count);
}, BURST_MS);
