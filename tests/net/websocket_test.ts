/** The WebSocket, byte by byte, as RFC 6455 and the cases of the Autobahn test suite have it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PASSWORD } from "../support/chat_client.ts";
import { waitFor } from "../support/process.ts";
import { closePayload, frameBytes, RawWebSocket, upgradeRequest } from "../support/raw_web_socket.ts";
import { startWeb } from "../support/web_server.ts";

const HEARTBEAT = '{"msgid":18,"cid":"b"}';
const BEATEN = '{"msgid":19,"cid":"b","errno":0}';

/** Many ways to say one thing, on a connection each. */
function wireTest(name: string, fn: (connect: () => Promise<RawWebSocket>) => Promise<void>): void {
  Deno.test(name, async () => {
    await using web = await startWeb();
    const sockets: RawWebSocket[] = [];
    try {
      await fn(async () => {
        const socket = await RawWebSocket.connect(web.port);
        sockets.push(socket);
        return socket;
      });
    } finally {
      for (const socket of sockets) socket.close();
    }
  });
}

/** Text in bytes. */
function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

wireTest(
  "a message may come in any number of fragments, cut anywhere, also within a character",
  async (connect) => {
    const socket = await connect();
    const text = '{"msgid":18,"cid":"κόσμε😀"}';
    const bytes = utf8(text);
    for (const size of [1, 2, 3, 7, bytes.length]) {
      for (let start = 0; start < bytes.length; start += size) {
        const fin = start + size >= bytes.length;
        await socket.sendFrame(start === 0 ? 1 : 0, bytes.slice(start, start + size), { fin });
      }
      assertEquals(await socket.receiveText(), '{"msgid":19,"cid":"κόσμε😀","errno":0}');
    }
    // Fragments without a byte are fragments.
    await socket.sendFrame(1, "", { fin: false });
    await socket.sendFrame(0, HEARTBEAT, { fin: false });
    await socket.sendFrame(0, "", { fin: true });
    assertEquals(await socket.receiveText(), BEATEN);
  },
);

wireTest("frames may come in one write, and in a write for each byte", async (connect) => {
  const socket = await connect();
  const bytes = [...frameBytes(1, HEARTBEAT, { fin: false }), ...frameBytes(9, "x"), ...frameBytes(0, "")];
  await socket.sendBytes(Uint8Array.from([...bytes, ...bytes]));
  const answers: string[] = [];
  while (answers.filter((answer) => answer.startsWith("1 ")).length < 2) {
    const { opcode, payload } = await socket.receiveFrame();
    answers.push(`${opcode} ${new TextDecoder().decode(payload)}`);
  }
  // Of two pings at once only the last one needs an answer.
  assertEquals(new Set(answers), new Set([`1 ${BEATEN}`, "10 x"]));
  for (const byte of bytes) await socket.sendBytes(Uint8Array.of(byte));
  assertEquals((await socket.receiveFrame()).opcode, 10);
  assertEquals(await socket.receiveText(), BEATEN);
});

wireTest(
  "a ping is answered with its own payload, also between fragments, and a pong is no trouble",
  async (connect) => {
    const socket = await connect();
    for (
      const payload of [
        new Uint8Array(0),
        utf8("hello"),
        Uint8Array.of(0, 255, 254),
        new Uint8Array(125).fill(254),
      ]
    ) {
      await socket.sendFrame(9, payload);
      assertEquals(await socket.receiveFrame(), { fin: true, opcode: 10, payload });
    }
    await socket.sendFrame(1, HEARTBEAT.slice(0, 5), { fin: false });
    await socket.sendFrame(9, "between");
    assertEquals(await socket.receiveFrame(), { fin: true, opcode: 10, payload: utf8("between") });
    await socket.sendFrame(10, "unasked");
    await socket.sendFrame(0, HEARTBEAT.slice(5));
    assertEquals(await socket.receiveText(), BEATEN);
  },
);

wireTest("lengths of 7, 16 and 64 bits are read at their bounds", async (connect) => {
  const socket = await connect();
  for (const length of [125, 126, 127, 128, 4_095, 65_535, 65_536]) {
    await socket.send(HEARTBEAT + " ".repeat(length - HEARTBEAT.length));
    assertEquals(await socket.receiveText(), BEATEN);
  }
});

/** Frames that break a rule, by what they are. */
const WRONG: Record<string, { bytes: Uint8Array[]; code: number }> = {
  "no mask": { bytes: [frameBytes(1, HEARTBEAT, { masked: false })], code: 1002 },
  "no mask on a close frame": { bytes: [frameBytes(8, "", { masked: false })], code: 1002 },
  ...Object.fromEntries(
    [1, 2, 4, 7].map((
      rsv,
    ) => [`reserved bits ${rsv}`, { bytes: [frameBytes(1, HEARTBEAT, { rsv })], code: 1002 }]),
  ),
  "reserved bits on a ping": { bytes: [frameBytes(9, "", { rsv: 4 })], code: 1002 },
  ...Object.fromEntries(
    [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((
      opcode,
    ) => [`opcode ${opcode}`, { bytes: [frameBytes(opcode, "")], code: 1002 }]),
  ),
  "a ping of 126 bytes": { bytes: [frameBytes(9, new Uint8Array(126))], code: 1002 },
  "a close frame of 126 bytes": { bytes: [frameBytes(8, closePayload(1000, "x".repeat(124)))], code: 1002 },
  "a ping in fragments": { bytes: [frameBytes(9, "a", { fin: false }), frameBytes(0, "b")], code: 1002 },
  "a close frame in fragments": { bytes: [frameBytes(8, "", { fin: false })], code: 1002 },
  "a continuation of nothing": { bytes: [frameBytes(0, HEARTBEAT)], code: 1002 },
  "a continuation of a message that is over": {
    bytes: [frameBytes(1, HEARTBEAT), frameBytes(0, HEARTBEAT)],
    code: 1002,
  },
  "a message within another": {
    bytes: [frameBytes(1, "{", { fin: false }), frameBytes(1, HEARTBEAT)],
    code: 1002,
  },
  "a binary message within another": {
    bytes: [frameBytes(1, "{", { fin: false }), frameBytes(2, "")],
    code: 1002,
  },
  "16 bits for a length of 7": { bytes: [frameBytes(1, HEARTBEAT, { lengthBits: 16 })], code: 1002 },
  "64 bits for a length of 7": { bytes: [frameBytes(1, HEARTBEAT, { lengthBits: 64 })], code: 1002 },
  "64 bits for a length of 16": { bytes: [frameBytes(1, " ".repeat(200), { lengthBits: 64 })], code: 1002 },
  "the first of 64 bits set": {
    bytes: [frameBytes(1, "", { lengthBits: 64, length: 1n << 63n })],
    code: 1002,
  },
  "a binary message": { bytes: [frameBytes(2, HEARTBEAT)], code: 1003 },
  "a close frame of one byte": { bytes: [frameBytes(8, "x")], code: 1002 },
  ...Object.fromEntries(
    [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((
      code,
    ) => [`close code ${code}`, { bytes: [frameBytes(8, closePayload(code))], code: 1002 }]),
  ),
  "a close reason that is not UTF-8": {
    bytes: [frameBytes(8, closePayload(1000, Uint8Array.of(0xce, 0xba, 0xff)))],
    code: 1007,
  },
};

for (const bad of ["ce", "c0 80", "ed a0 80", "f4 90 80 80", "ff", "e1 80 e2", "f0 80 80 80", "22 fe 22"]) {
  const bytes = Uint8Array.from(bad.split(" "), (hex) => parseInt(hex, 16));
  WRONG[`text that is not UTF-8: ${bad}`] = { bytes: [frameBytes(1, bytes)], code: 1007 };
  WRONG[`text that is not UTF-8 in fragments: ${bad}`] = {
    bytes: [
      frameBytes(1, "{}", { fin: false }),
      ...[...bytes].map((byte) => frameBytes(0, Uint8Array.of(byte), { fin: false })),
      frameBytes(0, ""),
    ],
    code: 1007,
  };
}

wireTest(
  "what breaks a rule is closed with the code for it, and nothing behind it is heard",
  async (connect) => {
    const found: Record<string, number | undefined> = {};
    for (const [name, { bytes }] of Object.entries(WRONG)) {
      const socket = await connect();
      for (const frame of [...bytes, frameBytes(1, HEARTBEAT)]) {
        // The server may have closed before all is sent.
        await socket.sendBytes(frame).catch(() => {});
      }
      const { frames, code } = await socket.receiveClose();
      const heard = frames.filter(({ payload }) => new TextDecoder().decode(payload) === BEATEN).length;
      const wasWhole = bytes.length > 1 && name.includes("over") ? 1 : 0;
      assertEquals([heard, frames.length], [wasWhole, wasWhole], name);
      found[name] = code;
      await socket.receiveEnd();
      socket.close();
    }
    assertEquals(found, Object.fromEntries(Object.entries(WRONG).map(([name, { code }]) => [name, code])));
  },
);

wireTest("a close frame is answered with its code, and then the connection is closed", async (connect) => {
  for (
    const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4000, 4999]
  ) {
    const socket = await connect();
    await socket.sendFrame(8, closePayload(code, "that's it"));
    assertEquals((await socket.receiveClose()).code, code);
    await socket.receiveEnd();
    socket.close();
  }
  const socket = await connect();
  await socket.sendFrame(8);
  assertEquals((await socket.receiveClose()).code, undefined);
  await socket.receiveEnd();
});

wireTest(
  "what is asked before a close frame is answered, and what comes behind it is not heard",
  async (connect) => {
    const socket = await connect();
    await socket.sendBytes(
      Uint8Array.from([
        ...frameBytes(1, HEARTBEAT),
        ...frameBytes(8, closePayload(1000)),
        ...frameBytes(1, HEARTBEAT),
        ...frameBytes(9, "x"),
      ]),
    );
    const { frames, code } = await socket.receiveClose();
    assertEquals([frames.length, code], [1, 1000]);
    await socket.receiveEnd();
  },
);

wireTest("who ends its side without a close frame still gets its answers", async (connect) => {
  const socket = await connect();
  await socket.send(HEARTBEAT);
  await socket.closeWrite();
  const { frames, code } = await socket.receiveClose();
  assertEquals([frames.length, code], [1, 1000]);
  await socket.receiveEnd();
});

wireTest("a message is one frame of the protocol, and one that is none costs no other", async (connect) => {
  const socket = await connect();
  const malformed = '{"msgid":11,"errno":4,"errmsg":"Not a JSON object in UTF-8"}';
  const texts = [
    ...["", " ", "hello", "[]", "1", "null", '"x"', "{", "}", '{"msgid":18', `${HEARTBEAT}${HEARTBEAT}`],
    ...[
      `${HEARTBEAT}\0`,
      `\0${HEARTBEAT}`,
      `${HEARTBEAT} x`,
      '{"a":"\n"}',
      '{"a":"x\n',
      '{"a":\0}',
      "\ufeff{}",
    ],
  ];
  for (const text of texts) {
    await socket.send(text);
    await socket.send(HEARTBEAT);
    assertEquals(
      [await socket.receiveText(), await socket.receiveText()],
      [malformed, BEATEN],
      JSON.stringify(text),
    );
  }
  await socket.send(` \r\n\t${HEARTBEAT}\n`);
  assertEquals(await socket.receiveText(), BEATEN);
  await socket.send(`{"msgid":18,"cid":"b","x":${"[".repeat(64)}${"]".repeat(64)}}`);
  assertStringIncludes(await socket.receiveText(), '"cid":"b","errno":4,"errmsg":"Nested deeper than 64"');
});

Deno.test("a message over --max-frame is refused as soon as it is announced, and told of as on TCP", async () => {
  await using web = await startWeb("--max-frame", "2K");
  await using right = await RawWebSocket.connect(web.port);
  await right.send(HEARTBEAT + " ".repeat(2048 - HEARTBEAT.length));
  assertEquals(await right.receiveText(), BEATEN);
  const announced: Uint8Array[][] = [
    [frameBytes(1, "", { length: 2049, lengthBits: 16 })],
    [frameBytes(1, "", { length: 1n << 40n, lengthBits: 64 })],
    [frameBytes(1, "x".repeat(2000), { fin: false }), frameBytes(0, "", { length: 49 })],
  ];
  for (const frames of announced) {
    await using socket = await RawWebSocket.connect(web.port);
    for (const frame of frames) await socket.sendBytes(frame);
    const refusal = { msgid: 11, errno: 9, errmsg: "A frame is longer than 2048 bytes." };
    assertEquals(await socket.receive(), refusal);
    const { msgid, code } = await socket.receive();
    assertEquals([msgid, code], [20, "bad_frame"]);
    const close = await socket.receiveClose();
    assertEquals([close.code, close.reason], [1009, "bad_frame"]);
    await socket.receiveEnd();
  }
});

Deno.test("people chat between WebSocket and TCP, in long texts of many bytes, too", async () => {
  await using web = await startWeb();
  await using ann = await RawWebSocket.connect(web.port);
  await using li = await RawWebSocket.connect(web.port);
  const ids: number[] = [];
  for (const [socket, name] of [[ann, "ann"], [li, "li"]] as const) {
    const { id = 0 } = await socket.request({ msgid: 4, name, password: PASSWORD });
    ids.push(id);
    // What is not said is version 2.
    assertEquals((await socket.request({ msgid: 1, id, password: PASSWORD })).conversations, []);
  }
  const [annId, liId] = ids;
  for (const msg of ["hi", "x".repeat(130), "é".repeat(100), "中".repeat(20_000), "😀".repeat(15_000)]) {
    const reply = await ann.request({ msgid: 6, id: annId, name: "ann", toid: liId, time: "now", msg });
    assertEquals([reply.msgid, reply.errno], [11, 0]);
    let got = await li.receive();
    while (got.msgid !== 6) got = await li.receive();
    assertEquals(got.msg, msg);
  }
});

Deno.test("a WebSocket speaks version 2 from its first frame on, and version 3 for whoever asks", async () => {
  await using web = await startWeb();
  await using socket = await RawWebSocket.connect(web.port);
  // Version 1 would not answer a frame that is malformed, nor one of version 2.
  assertEquals((await socket.request({ msgid: 18 })).msgid, 19);
  const { id } = await socket.request({ msgid: 4, name: "ann", password: PASSWORD });
  await using old = await RawWebSocket.connect(web.port);
  await old.request({ msgid: 1, id, password: PASSWORD });
  assertEquals((await old.request({ msgid: 6, toid: id, msg: "hi" })).errno, 4);
  assertEquals((await socket.request({ msgid: 4, v: 3, name: "li", password: PASSWORD })).errno, 0);
  const { errno, name } = await socket.request({ msgid: 1, v: 3, id: Number(id) + 1, password: PASSWORD });
  assertEquals([errno, name], [0, "li"]);
  assertEquals((await socket.request({ msgid: 6, toid: id, msg: "hi" })).errno, 0);
});

Deno.test("a request that is no right one for a WebSocket, or of another site's page, gets none", async () => {
  await using web = await startWeb("--web-origin", "https://chat.example,http://other.example:81");
  const { port } = web;
  const statusOf = async (headers: Record<string, string | undefined>, path?: string): Promise<number> => {
    await using socket = await RawWebSocket.dial(port);
    await socket.sendBytes(upgradeRequest(port, headers, path));
    return (await socket.receiveHead()).status;
  };
  assertEquals(await statusOf({}), 101);
  assertEquals(await statusOf({ "upgrade": "WebSocket, h2c", "connection": "keep-alive, upgrade" }), 101);
  assertEquals(await statusOf({ "upgrade": undefined }), 426);
  assertEquals(await statusOf({ "connection": "keep-alive" }), 426);
  assertEquals(await statusOf({ "sec-websocket-version": "12" }), 426);
  assertEquals(await statusOf({ "sec-websocket-version": undefined }), 426);
  assertEquals(await statusOf({ "sec-websocket-key": undefined }), 400);
  assertEquals(await statusOf({ "sec-websocket-key": "c2hvcnQ=" }), 400);
  assertEquals(await statusOf({}, "/other"), 404);

  assertEquals(await statusOf({ origin: `http://127.0.0.1:${port}` }), 101);
  assertEquals(await statusOf({ origin: `https://127.0.0.1:${port}` }), 101); // TLS that ends at a proxy.
  assertEquals(await statusOf({ origin: "https://Web.Example", host: "web.example:443" }), 101);
  assertEquals(await statusOf({ origin: "https://chat.example" }), 101);
  assertEquals(await statusOf({ origin: "http://other.example:81" }), 101);
  for (
    const origin of [
      ...[
        "http://chat.example",
        "https://chat.example:444",
        "http://127.0.0.1",
        `http://localhost:${port}`,
        "null",
        "",
      ],
      ...[`http://127.0.0.1:${port}.evil.example`, `http://x@127.0.0.1:${port}`, `ftp://127.0.0.1:${port}`],
    ]
  ) assertEquals(await statusOf({ origin }), 403, origin);
});

Deno.test("the handshake's answer proves that the request was read", async () => {
  await using web = await startWeb();
  await using socket = await RawWebSocket.dial(web.port);
  await socket.sendBytes(upgradeRequest(web.port));
  const { headers } = await socket.receiveHead();
  // The example of RFC 6455, 1.3.
  assertEquals(headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  assertEquals(headers.get("sec-websocket-extensions"), null);
});

Deno.test("at SIGTERM a WebSocket gets its answers, a notice, and the code for going away", async () => {
  await using web = await startWeb();
  await using socket = await RawWebSocket.connect(web.port);
  await socket.request({ msgid: 18 });
  const stopped = web.server.stop();
  const { msgid, code, reconnect } = await socket.receive();
  assertEquals({ msgid, code, reconnect }, { msgid: 20, code: "shutting_down", reconnect: true });
  const close = await socket.receiveClose();
  assertEquals([close.code, close.reason], [1001, "shutting_down"]);
  assertEquals((await stopped).code, 0);
});

Deno.test("a WebSocket of which nothing is heard is asked by a ping, and closed when it says nothing to that either", async () => {
  await using web = await startWeb("--heartbeat-interval", "1", "--heartbeat-misses", "3");
  await using alive = await RawWebSocket.connect(web.port);
  await using dead = await RawWebSocket.connect(web.port);
  for (const [socket, name] of [[alive, "ann"], [dead, "li"]] as const) {
    const { id } = await socket.request({ msgid: 4, name, password: PASSWORD });
    await socket.request({ msgid: 1, id, password: PASSWORD });
  }
  let pings = 0;
  const reading = (async () => {
    while (pings < 5) {
      const { opcode, payload } = await alive.receiveFrame();
      if (opcode === 9) pings++;
      if (opcode === 9) await alive.sendFrame(10, payload);
    }
  })();
  const { frames, code, reason } = await dead.receiveClose();
  assertEquals([code, reason], [1008, "heartbeat_timeout"]);
  assert(frames.some(({ opcode }) => opcode === 9));
  await reading;
  assertEquals((await alive.request({ msgid: 18 })).errno, 0);
});

Deno.test("a WebSocket that does not read is closed as on TCP, and pings make nothing pile up", async () => {
  await using web = await startWeb("--message-rate", "0", "--byte-rate", "0");
  await using ann = await RawWebSocket.connect(web.port);
  await using li = await RawWebSocket.connect(web.port);
  const ids: number[] = [];
  for (const [socket, name] of [[ann, "ann"], [li, "li"]] as const) {
    const { id = 0 } = await socket.request({ msgid: 4, name, password: PASSWORD });
    ids.push(id);
    await socket.request({ msgid: 1, id, password: PASSWORD });
  }
  const [annId, liId] = ids;
  const msg = "x".repeat(60_000);
  // More than the kernel takes for one connection.
  for (let count = 0; count < 250; count++) {
    const { errno } = await ann.request({ msgid: 6, id: annId, name: "ann", toid: liId, time: "now", msg });
    assertEquals(errno, 0);
    for (let pings = 0; pings < 20; pings++) await li.sendFrame(9, "still here");
  }
  await waitFor("the one who does not read to be sent away", async () => {
    await ann.request({ msgid: 18 });
    return web.server.stderr.includes("reason=slow_consumer");
  });
});
