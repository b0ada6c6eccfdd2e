import { assertEquals } from "@std/assert";
import type { Transport } from "../../../lib/client/core/transport.ts";
import { createDialer } from "../../../lib/client/terminal/tcp_transport.ts";

const encoder = new TextEncoder();

/** A connection to a listener that does what `serve` says; `said` has each event, frames joined by " | ". */
async function connect(serve: (conn: Deno.TcpConn) => Promise<void>): Promise<string[]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = listener.accept().then(async (conn) => {
    conn.setNoDelay(true);
    await serve(conn);
    conn.close();
  });
  const said: string[] = [];
  const closed = Promise.withResolvers<void>();
  const { port } = listener.addr;
  const transport: Transport = createDialer({ host: "127.0.0.1", port, isTls: false, caCerts: [] })({
    onOpen: () => transport.send('{"msgid":18}'),
    onFrames: (frames) => said.push(frames.join(" | ")),
    onClose: (reason) => {
      said.push(reason);
      closed.resolve();
    },
  });
  await Promise.all([serving, closed.promise]);
  return said;
}

async function readText(conn: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(1000);
  return new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
}

Deno.test("a frame goes out with NUL behind it; what comes in is cut into frames wherever it is split", async () => {
  let sent = "";
  const said = await connect(async (conn) => {
    sent = await readText(conn);
    const frames = '{"msg":"é } \\" {"}\0\n{"msg":2}{"msg":3}';
    for (const byte of encoder.encode(frames)) {
      await conn.write(new Uint8Array([byte]));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  assertEquals(sent, '{"msgid":18}\0');
  assertEquals(
    said.filter((frame) => frame !== "").join(" | "),
    [
      '{"msg":"é } \\" {"}',
      '{"msg":2}',
      '{"msg":3}',
      "the server closed the connection",
    ].join(" | "),
  );
  // That something arrives is told while a frame is not whole yet: the server is alive.
  assertEquals(said.includes(""), true);
});

Deno.test("a server that sends no protocol is left", async () => {
  const said = await connect(async (conn) => {
    await readText(conn);
    await conn.write(encoder.encode("HTTP/1.1 400 Bad Request\r\n"));
    await readText(conn);
  });
  assertEquals(said.at(-1), "what the server sends is not the chat protocol");
});
